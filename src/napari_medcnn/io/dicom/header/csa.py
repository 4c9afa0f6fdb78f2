"""Siemens' private CSA header: a small strict reader of its two layouts, for the few entries that mosaics need.

Layout as documented by nibabel's notes on Siemens CSA: "SV10" and four bytes (second layout only), the number of
tags, 77; each tag has a name of 64 bytes, the number of values, their kind and four-byte padded items.
"""

from __future__ import annotations

import re
import struct

_MOST_TAGS = 1024
_MOST_ITEMS = 100_000
_CHECK = (77, 205)


def csa_values(raw: bytes, names: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Return the non-empty values of the named tags as text; {} for anything that is not such a header."""
    try:
        return dict(_tags(raw, names))
    except (struct.error, ValueError):
        return {}


def _tags(raw: bytes, names: frozenset[str]) -> list[tuple[str, tuple[str, ...]]]:
    second = raw[:4] == b"SV10"
    at = 8 if second else 0
    count, check = struct.unpack_from("<2I", raw, at)
    if not 0 < count <= _MOST_TAGS or check not in _CHECK:
        raise ValueError("no CSA header")
    at += 8
    found, first_count = [], 0
    for number in range(count):
        name, _, _, _, items, check = struct.unpack_from("<64si4s3i", raw, at)
        at += 84
        if check not in _CHECK or not 0 <= items <= _MOST_ITEMS:
            raise ValueError("damaged CSA header")
        first_count = items if number == 0 else first_count
        values = []
        for _ in range(items):
            sizes = struct.unpack_from("<4i", raw, at)
            at += 16
            length = sizes[1] if second else sizes[0] - first_count
            if not second and (length < 0 or at + length > len(raw)):
                break  # the first layout ends its lists so
            if length < 0 or at + length > len(raw):
                raise ValueError("damaged CSA header")
            values.append(raw[at : at + length].split(b"\0", 1)[0].decode("latin-1").strip())
            at += -(-length // 4) * 4
        word = name.split(b"\0", 1)[0].decode("latin-1")
        if word in names:
            found.append((word, tuple(v for v in values if v)))
    return found


def slice_positions(protocol: str) -> list[tuple[float, float, float]]:
    """Return the centres of the slices (LPS mm) that the scan protocol in the series header lists, in its order."""
    found: dict[int, list[float]] = {}
    for number, axis, value in re.findall(
        r"sSliceArray\.asSlice\[(\d+)\]\.sPosition\.d(Sag|Cor|Tra)\s*=\s*(-?[\d.eE+-]+)", protocol
    ):
        found.setdefault(int(number), [0.0, 0.0, 0.0])[("Sag", "Cor", "Tra").index(axis)] = float(value)
    return [(p[0], p[1], p[2]) for _, p in sorted(found.items())]
