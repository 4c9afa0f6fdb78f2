"""What cannot be worked out from a file alone: which refusals are right, and which file is the reference of which.

A pattern stands for a path below the data folder; `words` are those of which the message must hold one.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch


@dataclass(frozen=True)
class Refusal:
    """A file or folder that must not open unasked, and why."""

    pattern: str
    words: tuple[str, ...]
    why: str
    asks: str = ""


REFUSALS: tuple[Refusal, ...] = (
    Refusal("*/row_major.dconn.nii", ("cifti",), "values on brain surfaces, no grid"),
    Refusal("*/test1d_ascii.nrrd", ("axes",), "one axis is no image"),
    Refusal("*/test_customFields.nrrd", ("axes",), "one axis is no image"),
    Refusal("*/image4x4x4x4x4.mha", ("5 dimensions",), "more axes than an image has"),
    Refusal("*/image10x11x12x13-extra-stuff.mhd", ("shear",), "its 4 x 4 matrix is no rotation"),
    Refusal("zoo-panimg/*.tif", ("hold no data",), "tiles without data"),
    Refusal("nifti-nibabel/*", ("mosaic",), "48 tiles do not fit the sheet"),
)

#: What another reader cannot open for reasons of its own, and a file that holds the same.
TWINS = {
    "nrrd-variants/BallBinary30x30x30_nifti.nhdr": "nrrd-variants/BallBinary30x30x30.nrrd",
}

#: Folder or file -> reference NIfTI made by another converter, and its maker.
REFERENCES: dict[str, tuple[str, str]] = {
    "zoo-nih-ge-4d/In/mr_0004": ("zoo-nih-ge-4d/Ref/DCM2NIIX_regression_test_4.nii", "dcm2niix"),
    "zoo-nih-siemens/In/mr_0003": ("zoo-nih-siemens/Ref/EPI_PE=AP_3.nii", "dcm2niix"),
    "zoo-orientation-mosaic/In/ax/axasc35": ("zoo-orientation-mosaic/Ref/ax_asc_35sl_6.nii", "dcm2niix"),
    "zoo-orientation-mosaic/In/sag/sagasc35": ("zoo-orientation-mosaic/Ref/sag_asc_35sl_22.nii", "dcm2niix"),
    "zoo-orientation-mosaic/In/axmb/AxAsc36mb2a": ("zoo-orientation-mosaic/Ref/fMRI_MB_asc_25.nii", "dcm2niix"),
    "zoo-12bit/In/12bitSigned_0x0F0F.dcm": ("zoo-12bit/Ref/4.nii", "dcm2niix"),
    "zoo-12bit/In/12bitUnsigned.dcm": ("zoo-12bit/Ref/2.nii", "dcm2niix"),
    "zoo-12bit/In/12bitUnsigned_0x0F0F.dcm": ("zoo-12bit/Ref/3.nii", "dcm2niix"),
    "zoo-dicom2nifti/generic/anatomical/001": (
        "zoo-dicom2nifti/generic/anatomical/001_ground_truth.nii.gz", "dicom2nifti"),
    "zoo-dicom2nifti/generic/anatomical/002_non_isotropic": (
        "zoo-dicom2nifti/generic/anatomical/002_non_isotropic_ground_truth.nii.gz", "dicom2nifti"),
    "zoo-dicom2nifti/generic/compressed/001": (
        "zoo-dicom2nifti/generic/compressed/001_ground_truth.nii.gz", "dicom2nifti"),
    "zoo-dicom2nifti/generic/compressed_j2k/001": (
        "zoo-dicom2nifti/generic/compressed_j2k/001_ground_truth.nii.gz", "dicom2nifti"),
    "zoo-dicom2nifti/generic/compressed_jpeg/001": (
        "zoo-dicom2nifti/generic/compressed_jpeg/001_ground_truth.nii.gz", "dicom2nifti"),
    "zoo-dicom2nifti/generic/compressed_jpegls/001": (
        "zoo-dicom2nifti/generic/compressed_jpegls/001_ground_truth.nii.gz", "dicom2nifti"),
    "zoo-dicom2nifti/generic/compressed_rle/001": (
        "zoo-dicom2nifti/generic/compressed_rle/001_ground_truth.nii.gz", "dicom2nifti"),
    "zoo-dicom2nifti/generic/rgb/001": ("zoo-dicom2nifti/generic/rgb/001_ground_truth.nii.gz", "dicom2nifti"),
    "zoo-dicom2nifti/siemens_multiframe/anatomical/001": (
        "zoo-dicom2nifti/siemens_multiframe/anatomical/001_ground_truth.nii.gz", "dicom2nifti"),
    "zoo-dicom2nifti/failing/slicecount/001": (
        "zoo-dicom2nifti/failing/slicecount/001_ground_truth.nii.gz", "dicom2nifti"),
}  # fmt: skip

#: DICOM file -> DICOM file with the same picture stored plainly, for syntaxes that pydicom's decoders refuse.
SAME_PICTURE: dict[str, str] = {
    **{
        f"zoo-wg04/{s}/{n}1_{s}": f"zoo-wg04/REF/{n}1_UNC"
        for s in ("JPLL", "JLSL", "J2KR", "RLE")
        for n in ("CT", "MR", "NM")
    },
    **{f"zoo-wg04/JPLY/{n}1_JPLY": f"zoo-wg04/REF/{n}1_UNC" for n in ("MR", "NM")},
    "zoo-pydicom-data/liver_nonbyte_aligned_*": "zoo-pydicom-data/liver_nonbyte_aligned.dcm",
    "zoo-pydicom-data/liver_*": "zoo-pydicom-data/liver.dcm",
    "zoo-pydicom/JPGExtended.dcm": "zoo-wg04/REF/NM1_UNC",
    "zoo-pydicom/JPEG-lossy.dcm": "zoo-wg04/REF/NM1_UNC",
    "zoo-transfer-syntax-ct/CTImage*": (
        "zoo-transfer-syntax-ct/CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm"
    ),
}


def refusal_of(relative: str, text: str) -> Refusal | None:
    """Return the refusal that expects this path to fail with this text."""
    low = text.lower()
    for rule in REFUSALS:
        if fnmatch(relative, rule.pattern) and any(word.lower() in low for word in rule.words):
            return rule
    return None


def same_picture(relative: str) -> str | None:
    return next((to for pattern, to in SAME_PICTURE.items() if fnmatch(relative, pattern) and to != relative), None)
