"""Everything that asks the user something; tests put their own answers in its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QColorDialog,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QInputDialog,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QWidget,
)

from napari_medcnn.core.labels import Colour
from napari_medcnn.errors import InputError
from napari_medcnn.widgets.hand_on.ask import FilmDialog, MapDialog, PictureDialog, ShareDialog, ask
from napari_medcnn.widgets.hand_on.wishes import (
    FilmOffer,
    FilmWish,
    MapOffer,
    MapWish,
    PictureOffer,
    PictureWish,
    ShareOffer,
    ShareWish,
)
from napari_medcnn.widgets.number_field import number

Answer = Literal["save", "discard", "cancel"]
SCANS = (
    "Scans and masks (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.dcm *.ima *.dicom *.png *.jpg *.jpeg *.tif *.tiff "
    "*.bmp);;All files (*)"
)
MODELS = "Models (*.keras *.onnx *.zip rdf.yaml);;All files (*)"
VOLUME_MASKS = (
    "NIfTI (*.nii.gz);;Segmented NRRD, keeps names and colours (*.seg.nrrd);;MetaImage (*.mha);;"
    "DICOM segmentation without the patient's name (*.dcm)"
)
SURFACES = "PLY, all classes in one file (*.ply);;STL (*.stl)"
PICTURE_MASKS = "Indexed PNG (*.png);;COCO annotations (*.json);;NIfTI (*.nii.gz)"


@dataclass(frozen=True)
class DatasetEntry:
    """Where a corrected case goes: the folder with ``dataset.csv``, and what its row says."""

    folder: Path
    case: str
    patient: str
    split: str


class Dialogs:
    """Native dialogs over one window."""

    def __init__(self, parent: QWidget) -> None:
        self._parent = parent

    def open_file(self) -> Path | None:
        """Ask for a file to open."""
        name, _ = QFileDialog.getOpenFileName(self._parent, "Open a scan or mask", "", SCANS)
        return Path(name) if name else None

    def open_folder(self) -> Path | None:
        """Ask for a folder to open."""
        name = QFileDialog.getExistingDirectory(self._parent, "Open a folder of scans")
        return Path(name) if name else None

    def add_model(self) -> Path | None:
        """Ask for a model to add; a package in a folder is chosen by its ``rdf.yaml``."""
        name, _ = QFileDialog.getOpenFileName(self._parent, "Add a model", "", MODELS)
        return Path(name) if name else None

    def save_mask(self, suggestion: str, picture: bool) -> Path | None:
        """Ask where a mask goes; the suffix of the chosen kind is added if there is none."""
        kinds = PICTURE_MASKS if picture else VOLUME_MASKS
        name, kind = QFileDialog.getSaveFileName(self._parent, "Save the mask", suggestion, kinds)
        if not name:
            return None
        suffix = kind[kind.index("(*") + 2 : -1] if "(*" in kind else (".png" if picture else ".nii.gz")
        known = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".png", ".json", ".dcm")
        return Path(name if name.lower().endswith(known) else name + suffix)

    def masks_folder(self) -> Path | None:
        """Ask for the folder that several masks go into."""
        name = QFileDialog.getExistingDirectory(self._parent, "Folder for the masks")
        return Path(name) if name else None

    def open_files(self) -> list[Path]:
        """Ask for further scans to open beside the open one."""
        names, _ = QFileDialog.getOpenFileNames(self._parent, "Open beside this scan", "", SCANS)
        return [Path(name) for name in names]

    def save_scores(self, suggestion: str) -> Path | None:
        """Ask where class scores go."""
        name, _ = QFileDialog.getSaveFileName(self._parent, "Save the scores", suggestion, "Table (*.csv)")
        return Path(name) if name else None

    def save_table(self, suggestion: str) -> Path | None:
        """Ask where a table goes; ``.csv`` is added if no suffix was typed."""
        name, _ = QFileDialog.getSaveFileName(self._parent, "Save the table", suggestion, "Table (*.csv)")
        return (Path(name) if Path(name).suffix else Path(f"{name}.csv")) if name else None

    def save_surfaces(self, suggestion: str) -> Path | None:
        """Ask where surfaces go; the suffix of the chosen kind is added if there is none."""
        name, kind = QFileDialog.getSaveFileName(self._parent, "Save the surfaces", suggestion, SURFACES)
        if not name:
            return None
        return Path(name if name.lower().endswith((".ply", ".stl")) else name + (".stl" if "stl" in kind else ".ply"))

    def known_length(self, drawn: str, has_scale: bool) -> float | None:
        """Ask how many mm a drawn line measures; 0 if the scale is to go, None if nothing is to change.

        Raises
        ------
        InputError
            What was typed is no length above 0.
        """
        words = f"The chosen line is {drawn} long on the picture. Its true length in mm:"
        if has_scale:
            words += "\n(leave it empty to take the scale back)"
        typed, agreed = QInputDialog.getText(self._parent, "Set scale", words)
        if not agreed or (not typed.strip() and not has_scale):
            return None
        if not typed.strip():
            return 0.0
        known = number(typed.strip().removesuffix("mm"), "length")
        if known <= 0:
            raise InputError(f"length: expected a length above 0 mm, got {typed.strip()[:40]}")
        return known

    def add_to_dataset(self, case: str) -> DatasetEntry | None:
        """Ask for the dataset's folder and what the row says."""
        dialog = _DatasetDialog(case, self._parent)
        try:
            return dialog.entry() if dialog.exec() == int(QDialog.DialogCode.Accepted) else None
        finally:
            dialog.deleteLater()

    def picture(self, offer: PictureOffer) -> PictureWish | None:
        """Ask what a picture shows and where it goes."""
        wish: PictureWish | None = ask(PictureDialog(offer, self._parent))
        return wish

    def film(self, offer: FilmOffer) -> FilmWish | None:
        """Ask what a film walks through and where it goes."""
        wish: FilmWish | None = ask(FilmDialog(offer, self._parent))
        return wish

    def share(self, offer: ShareOffer) -> ShareWish | None:
        """Ask what is shared of a case and where it goes."""
        wish: ShareWish | None = ask(ShareDialog(offer, self._parent))
        return wish

    def map(self, offer: MapOffer) -> MapWish | None:
        """Ask what a map is saved as and where it goes."""
        wish: MapWish | None = ask(MapDialog(offer, self._parent))
        return wish

    def unsaved(self, what: str) -> Answer:
        """Ask what happens to unsaved corrections."""
        buttons = QMessageBox.StandardButton
        box = QMessageBox(self._parent)
        box.setWindowTitle("Not saved")
        box.setText(f"{what} has corrections that are not saved.")
        box.setInformativeText("Save them now? Without saving they are kept and offered when MedCNN opens again.")
        box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)
        box.button(buttons.Discard).setText("Keep for later")
        answer = box.exec()
        box.deleteLater()
        if answer == buttons.Save:
            return "save"
        return "discard" if answer == buttons.Discard else "cancel"

    def colour(self, name: str, now: Colour) -> Colour | None:
        """Ask for the colour of a class."""
        chosen = QColorDialog.getColor(QColor(*now), self._parent, f"Colour of {name}")
        return (chosen.red(), chosen.green(), chosen.blue()) if chosen.isValid() else None

    def sure(self, question: str) -> bool:
        """Ask yes or no."""
        buttons = QMessageBox.StandardButton
        return QMessageBox.question(self._parent, "MedCNN", question, buttons.Yes | buttons.No) == buttons.Yes


class _DatasetDialog(QDialog):
    def __init__(self, case: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Add to dataset")
        layout = QFormLayout(self)
        self.folder = QLineEdit()
        self.folder.setPlaceholderText("Folder with dataset.csv; made if new")
        self.folder.setMinimumWidth(320)
        browse = QPushButton("Choose...")
        browse.clicked.connect(lambda _checked=False: self._browse())
        layout.addRow("Folder", self.folder)
        layout.addRow("", browse)
        self.case = QLineEdit(case)
        self.patient = QLineEdit(case)
        self.patient.setToolTip("Cases of one patient never stand in training and test both")
        self.split = QComboBox()
        self.split.addItems(["train", "val", "test", "gate"])
        layout.addRow("Case", self.case)
        layout.addRow("Patient", self.patient)
        layout.addRow("Used for", self.split)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout.addRow(buttons)

    def entry(self) -> DatasetEntry | None:
        name = self.folder.text().strip()
        if not name:
            return None
        return DatasetEntry(Path(name), self.case.text().strip(), self.patient.text().strip(), self.split.currentText())

    def _browse(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder of the dataset")
        if name:
            self.folder.setText(name)
