#!/bin/sh
# The window tests on PyQt5 and PyQt6. Without a display each gets a virtual one of its own and both run at the same
# time; on a real display they share keyboard and screen, so they run one after the other.
# Usage: scripts/windows.sh PYTHON
python=$1
here=$(dirname "$0")
run() { QT_API=$1 "$here/display.sh" "$python" -m pytest -m "gui and not proof" -o cache_dir=".pytest_cache/$1"; }

if [ "$(uname -s)" != Linux ] || [ -n "${DISPLAY:-}" ] || [ -n "${WAYLAND_DISPLAY:-}" ]; then
    run pyqt5 && run pyqt6
    exit
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run pyqt6 >"$log" 2>&1 &
other=$!
status=0
run pyqt5 || status=$?
wait "$other" || status=$?
echo "== the same on PyQt6"
cat "$log"
exit "$status"
