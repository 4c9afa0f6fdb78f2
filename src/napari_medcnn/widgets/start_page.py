"""What a person sees first."""

from __future__ import annotations

from datetime import datetime

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QWidget

from napari_medcnn.annotation.recovery import Recovery
from napari_medcnn.core.geometry import Array
from napari_medcnn.io.reading_state import Listed
from napari_medcnn.widgets.jobs import PICTURES
from napari_medcnn.widgets.parts import GAP, Text, button, clear_layout, column, line, row
from napari_medcnn.widgets.thumbnails import to_pixmap

RESEARCH_USE = "Research use only, not for diagnosis."


class StartPage(QWidget):
    """Open, continue, try, check: emits what is wanted."""

    open_file = Signal()
    open_folder = Signal()
    sample = Signal(str)
    check = Signal()
    models = Signal()
    preferences = Signal()
    recover = Signal(object)
    discard = Signal(object)
    go_on = Signal(object)
    forget = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        layout = column(self, margin=GAP)
        layout.addWidget(Text("Open a scan, run a model on it, correct the mask, save it."))
        reads = "DICOM and DICOMDIR, NIfTI, NRRD, MetaImage, MGH, GIPL and pictures"
        self.file_button = button("Open scan...", self.open_file.emit, reads)
        self.folder_button = button("Open folder...", self.open_folder.emit, "A folder of DICOM files or of scans")
        layout.addWidget(self.file_button)
        layout.addWidget(self.folder_button)
        layout.addWidget(Text("Or drop a file or folder anywhere here."))
        self._continue = column(margin=0)
        layout.addLayout(self._continue)
        self._readings = column(margin=0)
        layout.addLayout(self._readings)
        layout.addWidget(line())
        layout.addWidget(Text("Try an example", bold=True))
        self.fundus_button = button("Fundus photograph", lambda: self.sample.emit("fundus"))
        self.phantom_button = button("CT phantom", lambda: self.sample.emit("phantom"))
        layout.addWidget(self.fundus_button)
        layout.addWidget(self.phantom_button)
        layout.addWidget(line())
        self.check_button = button("Check this computer", self.check.emit, "Graphics, disk, AI engine, in words")
        layout.addWidget(self.check_button)
        self.models_button = button("Models...", self.models.emit, "All models: import, test, remove")
        layout.addWidget(self.models_button)
        self.keys_button = button("Keys and views...", self.preferences.emit, "Keys, the wheel, one view or 2x2")
        layout.addWidget(self.keys_button)
        layout.addStretch(1)
        layout.addWidget(Text(RESEARCH_USE))

    def offer(self, found: list[tuple[Recovery, Array | None]]) -> None:
        """List work that was never saved, with pictures of it; nothing is shown when there is none."""
        clear_layout(self._continue)
        if not found:
            return
        self._continue.addWidget(line())
        self._continue.addWidget(Text("Continue recovered work", bold=True))
        for item, picture in found[:PICTURES]:
            when = datetime.fromtimestamp(item.when).strftime("%Y-%m-%d %H:%M")
            strokes = "1 stroke" if item.steps == 1 else f"{item.steps} strokes"
            words = Text(f"{item.info.case}: {strokes}, {when}")
            self._continue.addLayout(row(*_seen(picture, item.info.case), words))
            self._continue.addLayout(self._choices(item))
        if len(found) > PICTURES:
            self._continue.addWidget(Text(f"and {len(found) - PICTURES} more, shown when these are dealt with"))

    def offer_readings(self, found: list[tuple[str, Listed]]) -> None:
        """List readings that were saved, as (words, reading); nothing is shown when there is none."""
        clear_layout(self._readings)
        if not found:
            return
        self._readings.addWidget(line())
        self._readings.addWidget(Text("Continue reading", bold=True))
        for words, listed in found[:5]:
            self._readings.addWidget(Text(words))
            self._readings.addLayout(self._reading_choices(listed))
        if len(found) > 5:
            self._readings.addWidget(Text(f"and {len(found) - 5} more, shown when these are deleted"))

    def _reading_choices(self, listed: Listed) -> QHBoxLayout:
        forget = button("Delete...", lambda: self.forget.emit(listed), "Delete the saved reading; scan and mask stay")
        if listed.state is None:
            return row(forget)
        tip = "Open the scan as it was seen"
        return row(button("Continue reading", lambda: self.go_on.emit(listed), tip), forget)

    def _choices(self, item: Recovery) -> QHBoxLayout:
        return row(
            button("Continue", lambda: self.recover.emit(item), "Show the mask as it was after the last stroke"),
            button("Discard...", lambda: self.discard.emit(item), "Delete this unsaved work"),
        )


def _seen(picture: Array | None, case: str) -> tuple[QLabel, ...]:
    if picture is None:
        return ()
    shown = QLabel()
    drawn = to_pixmap(picture)
    shown.setPixmap(drawn)
    shown.setFixedSize(drawn.size())
    shown.setAccessibleName(f"What was drawn on {case}")
    return (shown,)
