"""What a compressed picture says of itself: its precision decides how it is decoded, its colours how it is shown.

The DICOM header may disagree: decoders must be told the codestream's numbers, readers the header's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pydicom.pixels.utils import get_j2k_parameters

from napari_medcnn.errors import InputError

_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # SOF0-15 and JPEG-LS; not DHT, JPG, DAC
_ALONE = {0x01, 0xD8, *range(0xD0, 0xD8)}
_SCAN, _APP0 = 0xDA, 0xE0
_SIZ = b"\xff\x4f\xff\x51"


@dataclass(frozen=True)
class Codestream:
    """Rows, columns and components of a picture, bits of a sample, and what it tells of its colours.

    `colours` is "RGB" or "YBR" where the stream itself says so, else "".
    """

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool = False
    colours: str = ""


def jpeg_facts(data: bytes) -> Codestream:
    """Read the frame header of a JPEG or JPEG-LS picture (ISO 10918-1 B.2, ISO 14495-1 C.1).

    Components named R, G, B say that they are red, green and blue; a JFIF marker says that they are Y, CB, CR.

    Raises
    ------
    InputError
        No frame header is found.
    """
    if data[:2] != b"\xff\xd8":
        raise InputError("it does not begin as JPEG")
    place, jfif = 2, False
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            break
        marker = data[place + 1]
        if marker == 0xFF or marker in _ALONE:
            place += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack(">H", data[place + 2 : place + 4])
        body = data[place + 4 : place + 2 + length]
        if marker == _APP0 and body.startswith(b"JFIF"):
            jfif = True
        if marker in _FRAMES and len(body) >= 6:
            precision, rows, columns, components = struct.unpack(">BHHB", body[:6])
            names = bytes(body[6::3][:3])
            colours = "RGB" if names in (b"RGB", b"rgb") else "YBR" if jfif else ""
            return Codestream(rows, columns, components, precision, colours=colours)
        if marker == _SCAN:
            break
        place += 2 + length
    raise InputError("no JPEG frame header is in it")


def j2k_facts(data: bytes) -> Codestream:
    """Read the size marker of a JPEG 2000 codestream, bare or inside a JP2 file (ISO 15444-1 A.5.1).

    Raises
    ------
    InputError
        No size marker is found.
    """
    start = data.find(_SIZ, 0, 4096)
    if start < 0 or len(data) < start + 43:
        raise InputError("no JPEG 2000 codestream is in it")
    right, lower, left, upper = struct.unpack(">4I", data[start + 8 : start + 24])
    (components,) = struct.unpack(">H", data[start + 40 : start + 42])
    found = get_j2k_parameters(data[start:])
    return Codestream(
        lower - upper, right - left, components, int(found.get("precision", 0)), bool(found.get("is_signed", False))
    )
