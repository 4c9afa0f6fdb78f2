#!/bin/sh
# The window tests: all on PyQt5, and on PyQt6 those of what bindings do differently (keys, mouse, dialogs, drawing,
# closing); `make proof` runs them all there. Without a display two halves run side by side, each on a virtual display
# of its own; on a real display they share keyboard and screen, so there one run follows the other.
# Usage: scripts/windows.sh PYTHON
python=$1
here=$(dirname "$0")
differ="tests/test_loop.py tests/widgets/test_closing.py tests/widgets/test_correct.py tests/widgets/test_dock.py
    tests/widgets/test_key_choice.py tests/widgets/test_keymap.py tests/widgets/test_locale.py
    tests/widgets/test_mask_file.py tests/widgets/test_painting.py tests/widgets/test_physical_keys.py
    tests/widgets/test_preferences.py tests/widgets/test_tools_drawn.py tests/widgets/test_undo_mixed.py
    tests/widgets/test_views_mouse.py tests/widgets/test_volume_view.py tests/widgets/test_window_start.py"

# run BINDING PART [FILES]
run() {
    binding=$1 part=$2
    shift 2
    echo "== window tests on $binding, part $part"
    QT_API=$binding "$here/display.sh" "$python" -m pytest "$@" -m "gui and not proof" --part "$part" --durations=12 \
        -o cache_dir=".pytest_cache/$binding-${part%/*}"
}

# both PART: one part on each binding; what it ends with is whether both passed.
both() {
    status=0
    run pyqt5 "$1" || status=$?
    # shellcheck disable=SC2086
    run pyqt6 "$1" $differ || status=$?
    return "$status"
}

if [ "$(uname -s)" != Linux ] || [ -n "${DISPLAY:-}" ] || [ -n "${WAYLAND_DISPLAY:-}" ]; then
    both 1/1
    exit
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
both 2/2 >"$log" 2>&1 &
other=$!
status=0
both 1/2 || status=$?
wait "$other" || status=$?
echo "== the other half"
cat "$log"
exit "$status"
