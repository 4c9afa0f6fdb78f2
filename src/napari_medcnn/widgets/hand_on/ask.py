"""The windows that ask what is handed on: picture, film, case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QSpinBox,
    QWidget,
)

from napari_medcnn.widgets.hand_on.wishes import (
    FilmOffer,
    FilmWish,
    MapOffer,
    MapWish,
    Offer,
    PictureOffer,
    PictureWish,
    ShareOffer,
    ShareWish,
    risk_words,
)
from napari_medcnn.widgets.parts import GAP, Choice, Text, column, form

_MEGA = 1e6
#: How many times as large as on screen -> what for.
_SCALES = {1: "as on screen", 2: "for a slide", 3: "for print"}

#: Suffix -> what a map is saved as.
MAP_KINDS = {
    ".html": "Page: picture, map, curves, how it was made",
    ".nii.gz": "NIfTI: its values on the scan's grid",
    ".png": "Picture: one slice with its colours below",
}


class _Asking(QDialog):
    """A form with the ticks that every export has: names, and having looked at what may show one."""

    def __init__(self, title: str, offer: Offer, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setMinimumWidth(380)
        self._offer = offer
        layout = column(self, margin=2 * GAP)
        self.form: QFormLayout = form()
        layout.addLayout(self.form)
        self.names = QCheckBox("With name and number of the patient")
        self.names.setToolTip(offer.person)
        self.names.setVisible(bool(offer.person))
        layout.addWidget(self.names)
        self.looked = QCheckBox("I have looked: it shows no name")
        self.looked.setVisible(bool(offer.risk))
        if offer.risk:
            layout.addWidget(Text("⚠  " + risk_words(offer.risk)))
        layout.addWidget(self.looked)
        layout.addWidget(Text("Research use only, not for diagnosis."))
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.buttons.rejected.connect(self.reject)
        self.go = self.add_button("Save...", self.accept)
        self.go.setDefault(True)
        layout.addWidget(self.buttons)
        self.looked.toggled.connect(lambda _on: self.check())
        self.names.toggled.connect(lambda _on: self.check())

    def add_button(self, words: str, clicked: Any) -> Any:
        made = self.buttons.addButton(words, QDialogButtonBox.ButtonRole.ActionRole)
        made.clicked.connect(lambda _checked=False: clicked())
        return made

    @property
    def is_clear(self) -> bool:
        """True once someone has looked, where that is needed; names that were ticked need no look."""
        return not self._offer.risk or self.looked.isChecked() or self.names.isChecked()

    def check(self) -> None:
        """Offer what may be done now."""
        self.go.setEnabled(self.is_clear)

    def target(self, title: str, suffix: str, kinds: str) -> Path | None:
        """Ask for the file."""
        name, _ = QFileDialog.getSaveFileName(self, title, self._offer.suggestion + suffix, kinds)
        if not name:
            return None
        endings = tuple(kind.split("*")[1].rstrip(")") for kind in kinds.split(";;"))
        return Path(name if name.lower().endswith(endings) else name + suffix)


class PictureDialog(_Asking):
    """Which views, how large, with or without names, into a file or onto the clipboard."""

    def __init__(self, offer: PictureOffer, parent: QWidget | None = None) -> None:
        super().__init__("Picture", offer, parent)
        self.views, self.size_ = Choice(), Choice()
        self.views.addItems(["All views" if offer.views > 1 else "The view", "The view under the mouse"][: offer.views])
        for scale in _SCALES:
            self.size_.addItem("", scale)
        self.size_.setCurrentIndex(1)
        self.form.addRow("What", self.views)
        self.form.addRow("Size", self.size_)
        self.copied, self._sizes = False, offer.sizes
        self.copy = self.add_button("Copy", self._copy)
        self.views.currentIndexChanged.connect(lambda _index: self._show_sizes())
        self.check()

    def check(self) -> None:
        """As above; copying needs the same look. Names below a picture may need another line."""
        super().check()
        if hasattr(self, "copy"):
            self.copy.setEnabled(self.is_clear)
            self._show_sizes()

    def _show_sizes(self) -> None:
        """Say how large the file will be, its caption included."""
        for index, (scale, words) in enumerate(_SCALES.items()):
            size = self._sizes.get((self.views.currentIndex() == 0, scale, self.names.isChecked()))
            pixels = "" if size is None else f": {size[0]} x {size[1]} px"
            self.size_.setItemText(index, f"{scale}x, {words}{pixels}")

    def _copy(self) -> None:
        self.copied = True
        self.accept()

    def wish(self) -> PictureWish | None:
        """Return what was chosen, after asking for the file; None if that was given up."""
        path = None if self.copied else self.target("Save the picture", ".png", "Picture (*.png)")
        if path is None and not self.copied:
            return None
        return PictureWish(path, self.views.currentIndex() == 0, int(self.size_.currentData()), self.names.isChecked())


class FilmDialog(_Asking):
    """Through what, from where to where, how fast and large."""

    def __init__(self, offer: FilmOffer, parent: QWidget | None = None) -> None:
        super().__init__("Film", offer, parent)
        self._film = offer
        self.way, self.size_ = Choice(), Choice()
        self.first, self.last, self.rate = QSpinBox(), QSpinBox(), QSpinBox()
        for name, _count, _now in offer.ways:
            self.way.addItem(name)
        self.rate.setRange(1, 30)
        self.rate.setValue(10)
        width, height = offer.size
        for scale in (0.5, 1.0, 2.0):
            self.size_.addItem(f"{scale:g}x: about {width * scale:.0f} x {height * scale:.0f} px", scale)
        self.size_.setCurrentIndex(1)
        self.kind = Choice()
        self.kind.addItem("GIF, plays everywhere", ".gif")
        self.kind.addItem("MP4, small and in all colours", ".mp4")
        rows = (
            ("Through", self.way), ("From", self.first), ("To", self.last), ("Per second", self.rate),
            ("Size", self.size_), ("As", self.kind),
        )  # fmt: skip
        for words, field in rows:
            self.form.addRow(words, field)
            field.setAccessibleName(words)
        if not offer.mp4:
            self.kind.removeItem(1)
            self.form.addRow("", Text("MP4 needs: pip install napari-medcnn[video]"))
        self.way.currentIndexChanged.connect(lambda _index: self._show_way())
        self._show_way()
        self.check()

    def _show_way(self) -> None:
        _name, count, _now = self._film.ways[max(0, self.way.currentIndex())]
        for field, value in ((self.first, 1), (self.last, count)):
            field.setRange(1, count)
            field.setValue(value)

    def wish(self) -> FilmWish | None:
        """Return what was chosen, after asking for the file; None if that was given up."""
        suffix = str(self.kind.currentData())
        path = self.target("Save the film", suffix, f"Film (*{suffix})")
        if path is None:
            return None
        first, last = sorted((self.first.value(), self.last.value()))
        return FilmWish(
            path, self._film.ways[self.way.currentIndex()][0], first, last, float(self.rate.value()),
            float(self.size_.currentData()), self.names.isChecked(),
        )  # fmt: skip


class ShareDialog(_Asking):
    """What goes into the zip, and how large that is at most."""

    def __init__(self, offer: ShareOffer, parent: QWidget | None = None) -> None:
        super().__init__("Share case", offer, parent)
        self._parts = offer.parts
        self.ticks: dict[str, QCheckBox] = {}
        for key, words, size, ticked in offer.parts:
            tick = QCheckBox(f"{words}, {size_words(size)}")
            tick.setChecked(ticked)
            tick.toggled.connect(lambda _on: self.check())
            self.ticks[key] = tick
            self.form.addRow(tick)
        self.total = Text("")
        self.form.addRow(self.total)
        self.check()

    def check(self) -> None:
        """Add up what is chosen; without any picture nobody needs to look."""
        if not hasattr(self, "total"):
            return
        chosen = [size for key, _words, size, _on in self._parts if self.ticks[key].isChecked()]
        self.total.setText(f"Together {size_words(sum(chosen))}, in one zip")
        pixels = self._offer.risk and not any(
            self.ticks[k].isChecked() for k in ("scan", "pictures") if k in self.ticks
        )
        self.go.setEnabled(bool(chosen) and (self.is_clear or bool(pixels)))

    def wish(self) -> ShareWish | None:
        """Return what was chosen, after asking for the file; None if that was given up."""
        path = self.target("Share the case", ".zip", "Zip (*.zip)")
        chosen = frozenset(key for key, tick in self.ticks.items() if tick.isChecked())
        return None if path is None else ShareWish(path, chosen, self.names.isChecked())


class MapDialog(_Asking):
    """A map as values on the scan's grid, or as a page with picture, curves and how it was made."""

    def __init__(self, offer: MapOffer, parent: QWidget | None = None) -> None:
        super().__init__("Save map", offer, parent)
        self.kind = Choice()
        self.kind.setAccessibleName("As")
        for suffix, words in MAP_KINDS.items():
            self.kind.addItem(words, suffix)
        self.kind.currentIndexChanged.connect(lambda _index: self.check())
        self.form.addRow("As", self.kind)
        self.check()

    @property
    def is_clear(self) -> bool:
        """Values show no name; a page shows the picture."""
        return super().is_clear or (hasattr(self, "kind") and self.kind.currentData() == ".nii.gz")

    def wish(self) -> MapWish | None:
        """Return what was chosen, after asking for the file; None if that was given up."""
        suffix = str(self.kind.currentData())
        path = self.target("Save the map", suffix, f"{MAP_KINDS[suffix].partition(':')[0]} (*{suffix})")
        return None if path is None else MapWish(path, self.names.isChecked())


def size_words(size: int) -> str:
    """Return a size in words; packing makes it smaller."""
    return f"at most {max(1, round(size / 1e3))} kB" if size < _MEGA else f"at most {size / _MEGA:.0f} MB"


def ask(dialog: Any) -> Any:
    """Show a dialog and return its wish, None if it was given up."""
    try:
        return dialog.wish() if dialog.exec() == int(QDialog.DialogCode.Accepted) else None
    finally:
        dialog.deleteLater()
