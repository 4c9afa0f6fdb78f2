#!/bin/sh
# System libraries that a Qt window with OpenGL needs on Debian and Ubuntu, and Xvfb for machines without a display.
# Root: installs what is missing. Everybody else: prints the one line that does. Other systems: says nothing, does nothing.
set -eu

# Found by starting napari on a Debian 12 that had none of them (PyQt5 and PyQt6).
PACKAGES="xvfb xauth libgl1 libegl1 libgl1-mesa-dri libglib2.0-0 libfontconfig1 libdbus-1-3 libxkbcommon-x11-0
libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0
libxcb-xinerama0 libxcb-xkb1"

[ "$(uname -s)" = Linux ] || exit 0
command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 || exit 0
[ "${MEDCNN_SKIP_SYSTEM:-}" = 1 ] && exit 0

missing=""
for package in $PACKAGES; do
    # Newer releases renamed libglib2.0-0 to libglib2.0-0t64; the pattern finds either.
    dpkg-query -W -f='${db:Status-Abbrev}\n' "$package" "${package}t64" 2>/dev/null | grep -q '^ii' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    echo "Installing system libraries:$missing"
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "Some system libraries are missing. This one line installs them:" >&2
    echo >&2
    echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
    echo >&2
    echo "Then run make again. (MEDCNN_SKIP_SYSTEM=1 skips this check.)" >&2
    exit 1
fi
