"""The header of a file of any format as rows to look at; nothing of it is run, expanded or shown as more than text."""

from __future__ import annotations

from pathlib import Path

from napari_medcnn.errors import UnsupportedError
from napari_medcnn.io.dicom.tags import TagRow, dicom_rows
from napari_medcnn.io.found import plain, shown
from napari_medcnn.io.nifti_header import read_header
from napari_medcnn.io.sniff import head_of, sniff

_LONGEST = 160
_TEXT_BYTES = 64_000
_MAX_ROWS = 2000
#: Free text of these formats, in which programs leave names; anonymisers often forget it.
_FREE_TEXT = ("descrip", "aux_file", "db_name", "intent_name", "content", "comment", "patient", "subject", "name")


def header_rows(path: Path) -> tuple[TagRow, ...]:
    """Return the fields of a header in the order of the file.

    Raises
    ------
    InputError
        The file is missing or its header is damaged.
    UnsupportedError
        The format has no header of fields (pictures).
    """
    kind = sniff(path)
    if kind == "dicom":
        return dicom_rows(path)
    if kind == "nifti":
        raw = read_header(path).raw
        return tuple(_row(str(key), raw[key].dtype.name, _shown(raw[key])) for key in raw)
    if kind == "nrrd":
        return _lines(path, b"\n\n", ":")
    if kind == "metaimage":
        return _lines(path, None, "=")
    raise UnsupportedError(f"{shown(path)}: there is no list of fields in this kind of file")


def _row(name: str, kind: str, value: str) -> TagRow:
    return TagRow("", name, kind, value, 0, any(word in name.lower() for word in _FREE_TEXT))


def _shown(value: object) -> str:
    item = getattr(value, "tolist", lambda: value)()
    if isinstance(item, bytes):
        return plain(item.rstrip(b"\0 ").decode("utf-8", "replace"), _LONGEST)
    return plain(item, _LONGEST)


def _lines(path: Path, end: bytes | None, between: str) -> tuple[TagRow, ...]:
    """Return the ``name: value`` lines of a text header; what follows it is never decoded."""
    head = head_of(path, _TEXT_BYTES)
    head = head.replace(b"\r\n", b"\n")
    if end is not None:
        head = head.split(end, 1)[0]
    rows: list[TagRow] = []
    for line in head.split(b"\n"):
        text = line.decode("utf-8", "replace")
        name, found, value = text.partition(between)
        if text.startswith("#") or (not found and not rows):
            rows.append(TagRow("", "comment", "", plain(text, _LONGEST), 0, text.startswith("#")))
        elif found:
            rows.append(_row(plain(name, 60), "", plain(value.lstrip("="), _LONGEST)))
        if (end is None and name.strip() == "ElementDataFile") or len(rows) >= _MAX_ROWS:
            break
    return tuple(rows)
