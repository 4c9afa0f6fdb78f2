"""Frames: what is sent comes back equal, and what is cut, too long or foreign is named."""

from __future__ import annotations

import io
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medcnn.errors import EngineError
from napari_medcnn.worker.protocol import MAX_FRAME_BYTES, ArrayRef, Reply, Request, receive, send

numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
bodies = st.dictionaries(st.text(), plain, max_size=5)


@given(st.lists(st.builds(Request, st.integers(0, 2**40), st.text(), bodies), max_size=4))
def test_requests_come_back_equal_and_in_order(messages: list[Request]) -> None:
    stream = io.BytesIO()
    for message in messages:
        send(stream, message)
    stream.seek(0)
    assert [receive(stream) for _ in messages] == messages
    assert receive(stream) is None


@given(st.integers(0, 2**40), st.sampled_from(["progress", "result", "failed"]), bodies)
def test_replies_come_back_equal(number: int, kind: str, body: dict) -> None:
    stream = io.BytesIO()
    send(stream, Reply(number, kind, body))
    stream.seek(0)
    assert receive(stream) == Reply(number, kind, body)


@given(bodies, st.data())
def test_a_frame_cut_anywhere_is_an_error_never_a_message(body: dict, data) -> None:
    stream = io.BytesIO()
    send(stream, Request(1, "predict", body))
    raw = stream.getvalue()
    cut = data.draw(st.integers(1, len(raw) - 1))
    with pytest.raises(EngineError, match="cut short"):
        receive(io.BytesIO(raw[:cut]))


def test_a_short_read_is_not_the_end() -> None:
    """Pipes give what they have; a frame may arrive byte by byte."""

    class Dripping(io.BytesIO):
        def read(self, count: int = -1) -> bytes:
            return super().read(min(count, 1))

    stream = io.BytesIO()
    send(stream, Request(7, "hello", {"a": "é"}))
    assert receive(Dripping(stream.getvalue())) == Request(7, "hello", {"a": "é"})


def frame(data: object) -> io.BytesIO:
    raw = json.dumps(data).encode()
    return io.BytesIO(struct.pack(">I", len(raw)) + raw)


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (io.BytesIO(struct.pack(">I", MAX_FRAME_BYTES + 1) + b"x"), "impossible length"),
        (frame({"v": 2, "id": 1, "kind": "result", "body": {}}), "protocol 2"),
        (frame({"v": 1, "id": 1, "body": {}}), "cannot be read"),
        (frame({"v": 1, "id": "one", "kind": "result", "body": {}}), "cannot be read"),
        (frame(["not", "a", "mapping"]), "cannot be read"),
        (io.BytesIO(struct.pack(">I", 3) + b"{{{"), "cannot be read"),
        (io.BytesIO(struct.pack(">I", 2) + b"\xff\xfe"), "cannot be read"),
    ],
)
def test_foreign_frames_are_named(stream: io.BytesIO, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        receive(stream)


def test_a_frame_too_long_is_not_sent() -> None:
    stream = io.BytesIO()
    with pytest.raises(EngineError, match="at most"):
        send(stream, Request(1, "predict", {"x": "a" * MAX_FRAME_BYTES}))
    assert stream.getvalue() == b""


def test_numbers_that_are_none_never_cross() -> None:
    with pytest.raises(ValueError, match="JSON"):
        send(io.BytesIO(), Reply(1, "result", {"score": float("nan")}))


@given(st.text(), st.sampled_from(["<i2", "|u1", "<f4"]), st.lists(st.integers(1, 2**40), max_size=5))
def test_array_references_come_back_equal(path: str, dtype: str, shape: list[int]) -> None:
    ref = ArrayRef(path, dtype, tuple(shape))
    assert ArrayRef.from_json(json.loads(json.dumps(ref.to_json()))) == ref
