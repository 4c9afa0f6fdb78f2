"""Lossless JPEG (ITU-T T.81, process 14, all seven predictors) in plain Python, from the text of the standard.

pydicom's permissive plugins do not decode it and everybody else's code is the one under test; this is slow and short.
"""

from __future__ import annotations

import struct

import numpy as np


class _Bits:
    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.hold, self.count = data, 0, 0, 0

    def fill(self) -> None:
        while self.count <= 48:
            byte = self.data[self.at] if self.at < len(self.data) else 0
            self.at += 1
            if byte == 0xFF and self.at < len(self.data) and self.data[self.at] == 0:
                self.at += 1
            self.hold = ((self.hold << 8) | byte) & 0xFFFFFFFFFFFFFFFF
            self.count += 8

    def peek16(self) -> int:
        if self.count < 16:
            self.fill()
        return (self.hold >> (self.count - 16)) & 0xFFFF

    def take(self, n: int) -> int:
        if n == 0:
            return 0
        if self.count < n:
            self.fill()
        self.count -= n
        return (self.hold >> self.count) & ((1 << n) - 1)


def _table(counts: bytes, symbols: bytes) -> list[tuple[int, int]]:
    """Return for all 16-bit prefixes (length, symbol) (T.81 annex C)."""
    table: list[tuple[int, int]] = [(0, 0)] * 65536
    code, at = 0, 0
    for length in range(1, 17):
        for _ in range(counts[length - 1]):
            first = code << (16 - length)
            for k in range(first, first + (1 << (16 - length))):
                table[k] = (length, symbols[at])
            code, at = code + 1, at + 1
        code <<= 1
    return table


def decode(stream: bytes) -> np.ndarray:
    """Return (y, x) or (y, x, component) of unsigned samples.

    Raises
    ------
    ValueError
        Not lossless Huffman JPEG, or restart intervals with several components.
    """
    at, tables = 2, {}
    precision = height = width = parts = restart = 0
    while True:
        if stream[at] != 0xFF:
            raise ValueError("marker expected")
        marker = stream[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        length = struct.unpack(">H", stream[at + 2 : at + 4])[0]
        body = stream[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xC3:
            precision, height, width, parts = struct.unpack(">BHHB", body[:6])
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            raise ValueError(f"not lossless Huffman: SOF {marker:#x}")
        elif marker == 0xC4:
            k = 0
            while k < len(body):
                n = sum(body[k + 1 : k + 17])
                tables[body[k] & 15] = _table(body[k + 1 : k + 17], body[k + 17 : k + 17 + n])
                k += 17 + n
        elif marker == 0xDD:
            restart = struct.unpack(">H", body[:2])[0]
        elif marker == 0xDA:
            break
    if body[0] != parts:
        raise ValueError("components in scans of their own")
    chosen = [tables[body[2 + 2 * k] >> 4] for k in range(parts)]
    predictor, transform = body[1 + 2 * parts], body[3 + 2 * parts] & 15
    if restart and restart % width:
        raise ValueError("restarts inside a row")
    planes = _samples(stream[at:], chosen, (height, width, parts), predictor, 1 << (precision - transform - 1), restart)
    out = np.array(planes, np.uint32).reshape(height, width, parts) << transform
    out = out.astype(np.uint8 if precision <= 8 else np.uint16)
    return out[..., 0] if parts == 1 else out


def _samples(data: bytes, chosen: list, size: tuple[int, int, int], predictor: int, middle: int, restart: int) -> list:
    height, width, parts = size
    bits = _Bits(data)
    rows_between = restart // width if restart else 0
    above: list[int] = [0] * (width * parts)
    out: list[int] = []
    for y in range(height):
        fresh = y == 0 or bool(rows_between and y % rows_between == 0)
        if fresh and y:
            bits.count = 0
            near = range(max(0, bits.at - 12), len(data) - 1)
            bits.at = 2 + next(k for k in near if data[k] == 0xFF and 0xD0 <= data[k + 1] <= 0xD7)
        row: list[int] = []
        for k in range(width * parts):
            if k < parts:
                guess = middle if fresh else above[k]
            elif fresh:
                guess = row[k - parts]
            else:
                a, b, c = row[k - parts], above[k], above[k - parts]
                guess = (a, b, c, a + b - c, a + ((b - c) >> 1), b + ((a - c) >> 1), (a + b) >> 1)[predictor - 1]
            size_of, symbol = chosen[k % parts][bits.peek16()]
            bits.count -= size_of
            if symbol == 16:
                step = 32768
            elif symbol:
                step = bits.take(symbol)
                if step < 1 << (symbol - 1):
                    step -= (1 << symbol) - 1
            else:
                step = 0
            row.append((guess + step) & 0xFFFF)
        out += row
        above = row
    return out
