#!/bin/sh
# Run "medcnn demo" (its path is the argument). With a display the window stays open; without one it runs under Xvfb,
# writes demo/ (mask, provenance, picture of the window) and ends.
set -eu
medcnn=$1
if [ "$(uname -s)" != Linux ] || [ -n "${DISPLAY:-}" ] || [ -n "${WAYLAND_DISPLAY:-}" ]; then
    exec "$medcnn" demo --out demo
fi
MEDCNN_DEMO_CLOSE=1 "$(dirname "$0")/display.sh" "$medcnn" demo --out demo
echo "Written:"
ls -l demo
