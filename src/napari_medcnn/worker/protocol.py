"""Messages between this process and the engine: versioned JSON, length-prefixed, never pickle.

A frame is 4 bytes big-endian length and that many bytes of UTF-8 JSON.  The client writes requests to the engine's
stdin and reads replies from a private pipe (the engine moves its stdout to stderr, so a stray print cannot break a
frame).  Arrays never travel in a frame: an `ArrayRef` names a memory-mapped file in a private folder.
Closing the engine's stdin ends it.

Each request carries an ``id``; each reply repeats it, so late answers are recognised and dropped.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from napari_medcnn.errors import EngineError

PROTOCOL_VERSION = 1
MAX_FRAME_BYTES = 16 * 2**20
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class ArrayRef:
    """A C-ordered array in a plain file: `path` inside the exchange folder, NumPy `dtype` name, `shape`."""

    path: str
    dtype: str
    shape: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"path": self.path, "dtype": self.dtype, "shape": list(self.shape)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ArrayRef:
        """Read what `to_json` wrote."""
        return cls(str(data["path"]), str(data["dtype"]), tuple(int(n) for n in data["shape"]))


@dataclass(frozen=True)
class Request:
    """Ask the engine for work.

    `verb` is a key of the engine's handlers: "hello", "warm", "predict", "train", "self_test", "release", ...
    `body` is plain JSON. "cancel" (body ``{"id": n}``) and "hello" are answered by the server itself.
    """

    id: int
    verb: str
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What the engine says about request `id`.

    `kind`: "progress" (body fraction|None, message), "result" (body: the verb's own), or "failed"
    (body error: class name in `errors`, message, detail).
    """

    id: int
    kind: str
    body: dict[str, Any] = field(default_factory=dict)


def send(stream: BinaryIO, message: Request | Reply) -> None:
    """Write one frame and flush it."""
    key = "verb" if isinstance(message, Request) else "kind"
    data = {"v": PROTOCOL_VERSION, "id": message.id, key: getattr(message, key), "body": message.body}
    raw = json.dumps(data, separators=(",", ":"), allow_nan=False).encode()
    if len(raw) > MAX_FRAME_BYTES:
        raise EngineError(f"message: expected at most {MAX_FRAME_BYTES} bytes, got {len(raw)}")
    stream.write(_LENGTH.pack(len(raw)) + raw)
    stream.flush()


def receive(stream: BinaryIO) -> Request | Reply | None:
    """Read one frame; None at the end of the stream (the other side is gone).

    Raises
    ------
    EngineError
        The frame is cut, too long, not JSON, or of another protocol version.
    """
    head = _read(stream, _LENGTH.size)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise EngineError("The engine's answer was cut short.", state="crashed")
    (length,) = _LENGTH.unpack(head)
    if length > MAX_FRAME_BYTES:
        raise EngineError(f"The engine's answer has an impossible length ({length} bytes).", state="crashed")
    raw = _read(stream, length)
    if len(raw) < length:
        raise EngineError("The engine's answer was cut short.", state="crashed")
    try:
        data = json.loads(raw)
        if data["v"] != PROTOCOL_VERSION:
            raise EngineError(f"The engine speaks protocol {data['v']}, this window {PROTOCOL_VERSION}; update both.")
        if "verb" in data:
            return Request(int(data["id"]), str(data["verb"]), dict(data["body"]))
        return Reply(int(data["id"]), str(data["kind"]), dict(data["body"]))
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError(f"The engine's answer cannot be read: {error}", state="crashed") from error


def _read(stream: BinaryIO, count: int) -> bytes:
    parts, left = [], count
    while left:
        part = stream.read(left)
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
