#!/bin/sh
# Run a command with a display: the one there is, else a virtual one that ends with the command.
if [ "$(uname -s)" != Linux ] || [ -n "${DISPLAY:-}" ] || [ -n "${WAYLAND_DISPLAY:-}" ]; then
    exec "$@"
fi
if ! command -v xvfb-run >/dev/null 2>&1; then
    echo "No display, and xvfb-run is not installed (Debian and Ubuntu: sudo apt-get install -y xvfb xauth)." >&2
    exit 1
fi
exec xvfb-run -a -s "-screen 0 1920x1080x24 -nolisten tcp" "$@"
