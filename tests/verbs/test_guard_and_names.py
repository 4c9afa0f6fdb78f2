"""Errors become the last event; closing closes; names never collide."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_medcnn.core.events import Cancel, Failed, Progress, Result, result_of
from napari_medcnn.errors import Cancelled, InputError
from napari_medcnn.verbs.guard import guarded, relay, stop_if
from napari_medcnn.verbs.names import has_image_suffix, output_stems, provenance_path, stem_of


@guarded
def _raises(error: BaseException):
    yield Progress(None, "begun")
    raise error


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (InputError("wrong"), InputError, "wrong"),
        (Cancelled("stopped"), Cancelled, "stopped"),
        (OSError(28, "No space left on device", "x.nii"), InputError, "x.nii: No space left on device"),
        (MemoryError(), InputError, "memory"),
    ],
)
def test_named_errors_are_the_last_event(error: BaseException, kind: type, words: str) -> None:
    events = list(_raises(error))
    assert len(events) == 2
    assert isinstance(events[1], Failed)
    assert type(events[1].error) is kind
    assert words in str(events[1].error)


def test_a_mistake_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        list(_raises(ZeroDivisionError()))


def test_closing_the_outer_work_closes_the_inner() -> None:
    closed = []

    def inner():
        try:
            yield Progress(0.1, "a")
            yield Progress(0.2, "b")
        finally:
            closed.append(True)

    @guarded
    def outer():
        yield from relay(inner())

    events = outer()
    assert next(events) == Progress(0.1, "a")
    events.close()
    assert closed == [True]


def test_relay_returns_the_value_and_raises_the_error() -> None:
    def good():
        yield Progress(None, "x")
        yield Result(7)

    @guarded
    def outer():
        value = yield from relay(good())
        yield Result(value + 1)

    assert result_of(outer()) == 8


def test_stop_if() -> None:
    cancel = Cancel()
    stop_if(cancel)
    cancel.set()
    with pytest.raises(Cancelled):
        stop_if(cancel)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.nii.gz", "a"), ("a.b.NII.GZ", "a.b"), ("a.seg.nrrd", "a"), ("a.jpg", "a"), ("series", "series"),
        ("v1.2", "v1.2"), (".nii", ".nii"),
    ],
)  # fmt: skip
def test_stems(name: str, stem: str) -> None:
    assert stem_of(Path("folder") / name) == stem


def test_equal_stems_get_the_parent_in_front() -> None:
    paths = [Path("/d/p1/t1.nii.gz"), Path("/d/p2/t1.nii.gz"), Path("/d/p2/other.nii")]
    assert output_stems([(p, None) for p in paths]) == ["p1_t1", "p2_t1", "other"]


def test_what_is_equal_even_then_is_numbered_and_case_does_not_tell_apart() -> None:
    paths = [Path("/a/p/t.nii"), Path("/b/p/T.nii"), Path("/c/p/t.nii.gz")]
    stems = output_stems([(p, None) for p in paths])
    assert stems == ["p_t", "p_T_2", "p_t_3"]
    assert len({s.casefold() for s in stems}) == 3


def test_items_of_one_folder_are_told_apart_by_id_and_ids_hold_no_path() -> None:
    stems = output_stems([(Path("/d/ct"), "1.2.3/4"), (Path("/d/ct"), "..")])
    assert stems == ["ct_1.2.3_4", "ct_item"]


def test_image_suffix_and_record_name() -> None:
    assert has_image_suffix(Path("m.NII.gz")) and has_image_suffix(Path("m.png"))
    assert not has_image_suffix(Path("out")) and not has_image_suffix(Path("out.d"))
    assert provenance_path(Path("o/m.seg.nrrd")) == Path("o/m.provenance.json")
