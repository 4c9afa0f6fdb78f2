"""The digit row by place: what AZERTY and others type without Shift chooses classes and windows all the same."""

from __future__ import annotations

import shutil
import subprocess
from types import SimpleNamespace

import pytest
from qtpy.QtCore import QCoreApplication, QEvent, QObject, Qt
from qtpy.QtGui import QGuiApplication, QKeyEvent

from napari_medcnn.widgets.physical_keys import as_digit, digit_of

pytestmark = pytest.mark.gui
NONE, SHIFT, CTRL = (
    Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier,
)  # fmt: skip
#: What the keys 1 to 9 and 0 type on a French keyboard without Shift.
AZERTY = "&é\"'(-è_çà"
ROW = (1, 2, 3, 4, 5, 6, 7, 8, 9, 0)


@pytest.mark.parametrize(
    "platform, scan_codes, virtual_keys",
    [
        # X11 key codes of evdev: 10 is "1", 19 is "0" (xkb keycodes/evdev: <AE01> = 10 ... <AE10> = 19)
        ("xcb", range(10, 20), [0] * 10),
        ("wayland", range(10, 20), [0] * 10),
        # Windows, scan code set 1: 0x02 is "1", 0x0B is "0"
        ("windows", range(0x02, 0x0C), [0] * 10),
        # HIToolbox/Events.h: kVK_ANSI_1 ... kVK_ANSI_9, kVK_ANSI_0
        ("cocoa", [0] * 10, [0x12, 0x13, 0x14, 0x15, 0x17, 0x16, 0x1A, 0x1C, 0x19, 0x1D]),
    ],
)
def test_numbers_of_the_digit_row(platform, scan_codes, virtual_keys) -> None:
    assert tuple(digit_of(platform, s, v) for s, v in zip(scan_codes, virtual_keys, strict=True)) == ROW
    assert digit_of("offscreen", 10, 18) is None


def test_neighbours_and_the_number_pad_are_other_keys() -> None:
    assert [digit_of("xcb", code, 0) for code in (0, 9, 20, 87)] == [None] * 4
    assert [digit_of("windows", code, 0) for code in (0, 1, 12, 79)] == [None] * 4
    assert [digit_of("cocoa", 0, code) for code in (0, 17, 24, 27, 83)] == [None] * 5


def pressed(text: str, code: int, modifiers=NONE) -> SimpleNamespace:
    return SimpleNamespace(
        key=lambda: ord(text.upper()), modifiers=lambda: modifiers, nativeScanCode=lambda: code,
        nativeVirtualKey=lambda: 0,
    )  # fmt: skip


def test_only_what_is_not_said_already_is_replaced() -> None:
    assert [as_digit(pressed(text, 10 + n), "xcb") for n, text in enumerate(AZERTY)] == list(ROW)
    assert as_digit(pressed("&", 10, CTRL), "xcb") == 1
    assert as_digit(pressed("1", 10), "xcb") is None  # QWERTY says it itself
    assert as_digit(pressed("!", 10, SHIFT), "xcb") is None  # Shift+1 is another key
    assert as_digit(pressed("d", 10), "xcb") is None  # an X server that numbers its keys otherwise
    arrow = SimpleNamespace(**{**vars(pressed("&", 10)), "key": lambda: 0x01000012})
    assert as_digit(arrow, "xcb") is None


def send(widget, text: str, code: int, modifiers=NONE) -> None:
    for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
        event = QKeyEvent(kind, ord(text.upper()), modifiers, code, 0, 0, text)
        QCoreApplication.sendEvent(widget, event)


@pytest.mark.skipif("QGuiApplication.platformName() != 'xcb'", reason="sends the key numbers of X11")
def test_azerty_chooses_windows_and_classes_and_types_into_fields(desk) -> None:
    desk.open("phantom")
    scan, own = desk.dock.layers.scan, tuple(desk.dock.layers.scan.contrast_limits)
    send(desk.native, "é", 11)
    assert tuple(scan.contrast_limits) == (-600 - 750, -600 + 750)
    send(desk.native, "à", 19)
    assert tuple(scan.contrast_limits) == own
    desk.empty_mask()
    for _ in range(2):
        desk.dock.session.add_class(f"more {_}")
    chosen = []
    for text, code in (("&", 10), ("é", 11), ('"', 12), ("à", 19)):
        send(desk.native, text, code)
        chosen.append(desk.dock.layers.mask.selected_label)
    assert chosen == [1, 2, 3, 0]
    send(desk.native, "é", 11, CTRL)
    assert tuple(scan.contrast_limits) == (-600 - 750, -600 + 750)
    field = desk.dock.correct.new_class
    field.setFocus()
    send(field, "é", 11)
    assert field.text() == "é" and desk.dock.layers.mask.selected_label == 0
    desk.dock.shut_down()
    send(desk.native, "&", 10)
    assert desk.dock.layers.mask is None or desk.dock.layers.mask.selected_label == 0


@pytest.mark.skipif("QGuiApplication.platformName() != 'xcb'", reason="presses the keys of X11")
@pytest.mark.skipif(
    not (shutil.which("setxkbmap") and shutil.which("xdotool")),
    reason="needs setxkbmap and xdotool (Debian: same names)",
)
def test_a_real_french_keyboard_chooses_windows_and_classes(desk, french) -> None:
    """The X server itself types: key 11 is the one right of "1", which gives é there."""
    desk.open("phantom")
    scan = desk.dock.layers.scan
    desk.empty_mask()
    for _ in range(2):
        desk.dock.session.add_class(f"more {_}")
    typed = watch(desk.native)
    focus(desk)
    for code, expected in ((11, 2), (12, 3), (10, 1), (19, 0)):
        french(str(code))
        desk.until(lambda wanted=expected: desk.dock.layers.mask.selected_label == wanted)
    assert "é" in typed, "the layout of the X server was French"
    french("ctrl+11")
    desk.until(lambda: tuple(scan.contrast_limits) == (-600 - 750, -600 + 750))
    field = desk.dock.correct.new_class
    field.setFocus()
    french("11")
    desk.until(lambda: field.text() == "é")
    assert desk.dock.layers.mask.selected_label == 0


@pytest.fixture
def french():
    """Make the keyboard French and return a hand that presses keys by number; it is American again afterwards."""
    subprocess.run(["setxkbmap", "fr"], check=True, timeout=20)

    def press(keys: str) -> None:
        subprocess.run(["xdotool", "key", "--clearmodifiers", keys], check=True, timeout=20)

    yield press
    subprocess.run(["setxkbmap", "us"], check=True, timeout=20)


def focus(desk) -> None:
    """Give the canvas the keyboard of the X server; there is no window manager that would."""
    subprocess.run(["xdotool", "windowfocus", str(int(desk.qt_window.winId()))], check=True, timeout=20)
    desk.qt_window.activateWindow()
    desk.native.setFocus()
    desk.until(lambda: desk.native.hasFocus())


def watch(widget) -> list[str]:
    """Return a list that grows by what a widget is typed."""
    typed: list[str] = []

    class Watch(QObject):
        def eventFilter(self, _watched, event) -> bool:
            if event.type() == QEvent.Type.KeyPress:
                typed.append(event.text())
            return False

    widget._watch = Watch(widget)
    widget.installEventFilter(widget._watch)
    return typed


assert QGuiApplication  # named in a condition above
