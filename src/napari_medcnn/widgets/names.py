"""Taking names of patients off the screen: what a line of words says without them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from pathlib import Path

HIDDEN = "(name hidden)"
# What still looks like a file or a path when the known names are gone; "HEAD/BRAIN" or "T/S/C" is what people write.
_PIECE = r"[^\s:;,()]"
_WORD = re.compile(rf"{_PIECE}+")
_PATH = re.compile(
    rf"(?:[A-Za-z]:)?{_PIECE}*[/\\]{_PIECE}*"
    rf"|{_PIECE}+\.(?:nii|gz|nrrd|nhdr|mha|mhd|dcm|ima|png|jpe?g|tiff?|csv)\b"
)
_TERMS = re.compile(r"[^\W\d_]{1,16}\d{0,2}(?:/[^\W\d_]{1,16}\d{0,2})+")


def without_names(words: str, names: Iterable[str], files: Set[str] = frozenset()) -> str:
    """Return a line without names of scans and files.

    Parameters
    ----------
    words
        Any line; "" stays "".
    names
        Names of patients and scans, in whatever case, and paths of files: of a path its file name and its stem are
        taken out, too.
    files
        Names of files, lower case, that are taken out where they stand as one word; there may be very many.
    """
    parts = set()
    for name in names:
        parts |= {name, Path(name).name, Path(name).name.partition(".")[0]}
    for part in sorted((p for p in parts if p.strip()), key=len, reverse=True):
        words = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", HIDDEN, words, flags=re.IGNORECASE)
    words = _PATH.sub(lambda m: m[0] if _TERMS.fullmatch(m[0]) else HIDDEN, words)
    while HIDDEN * 2 in words:  # the stem went as a known name, its ending as a file
        words = words.replace(HIDDEN * 2, HIDDEN)
    return _WORD.sub(lambda m: HIDDEN if m[0].rstrip(".").lower() in files else m[0], words) if files else words
