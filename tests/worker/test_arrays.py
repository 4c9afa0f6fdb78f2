"""The hand-over of arrays: same voxels, same dtype, one kept file, private, gone at the end."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_medcnn.errors import EngineError, InputError
from napari_medcnn.worker import arrays
from napari_medcnn.worker.arrays import Exchange, open_array, process_lives, remove_stale
from napari_medcnn.worker.protocol import ArrayRef


@pytest.fixture
def exchange():
    made = Exchange()
    yield made
    made.close()


dtypes = st.sampled_from(["bool", "u1", "<i2", ">i2", "<u2", "<i4", "<i8", "<f2", "<f4", ">f4", "<f8", "<c8"])


@settings(max_examples=60, deadline=None)
@given(dtypes.flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(max_dims=4, max_side=5))), st.booleans())
def test_every_array_arrives_bit_for_bit(array: np.ndarray, turned: bool) -> None:
    exchange = Exchange()
    try:
        given_array = array.T[::-1] if turned else array
        got = exchange.open(exchange.put(given_array, "scan"))
        assert got.shape == given_array.shape
        assert got.dtype == given_array.dtype.newbyteorder("=")
        assert np.array_equal(got, given_array, equal_nan=given_array.dtype.kind in "fc")
    finally:
        exchange.close()


def test_sixteen_bit_stays_sixteen_bit(exchange: Exchange) -> None:
    ref = exchange.put(np.arange(-6, 6, dtype=np.int16).reshape(2, 2, 3), "ct")
    assert Path(ref.path).stat().st_size == 24
    assert np.dtype(ref.dtype) == np.int16


def test_the_file_of_a_volume_is_kept_and_used_again(exchange: Exchange) -> None:
    first = exchange.put(np.full((3, 4, 5), 7, np.float32), "scan")
    inode = os.stat(first.path).st_ino
    second = exchange.put(np.full((3, 4, 5), 9, np.float32), "scan")
    smaller = exchange.put(np.ones((2, 2), np.uint8), "scan")
    assert (second, os.stat(smaller.path).st_ino) == (first, inode)
    assert exchange.open(smaller).tolist() == [[1, 1], [1, 1]]
    larger = exchange.put(np.full((30, 4, 5), 3, np.float32), "scan")
    assert exchange.open(larger).min() == exchange.open(larger).max() == 3
    assert len(list(exchange.folder.glob("*.raw"))) == 1


def test_two_keys_do_not_touch(exchange: Exchange) -> None:
    one, two = exchange.put(np.zeros(3), "a/../b"), exchange.put(np.ones(3), "c:d\0")
    assert exchange.open(one).sum() == 0
    assert exchange.open(two).sum() == 3
    assert {Path(r.path).parent for r in (one, two)} == {exchange.folder}


def test_results_are_written_by_the_other_side(exchange: Exchange) -> None:
    ref = exchange.new((2, 3), "uint8", "labels")
    assert exchange.open(ref).tolist() == [[0, 0, 0], [0, 0, 0]]
    open_array(ref, "r+")[1, 2] = 5
    assert exchange.open(ref)[1, 2] == 5
    with pytest.raises(ValueError, match="read-only"):
        exchange.open(ref)[0, 0] = 1


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_nobody_else_may_look(exchange: Exchange) -> None:
    ref = exchange.put(np.ones(3), "scan")
    assert stat.S_IMODE(exchange.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(os.stat(ref.path).st_mode) == 0o600


def test_forgotten_and_closed_leave_nothing(exchange: Exchange) -> None:
    ref = exchange.put(np.ones(3), "scan")
    folder = exchange.folder
    held = exchange.open(ref)
    exchange.forget("scan")
    exchange.forget("scan")
    assert not Path(ref.path).exists()
    assert held.sum() == 3
    exchange.close()
    exchange.close()
    assert not folder.exists()


@pytest.mark.parametrize("array", [np.zeros((0, 3)), np.array(["text"]), np.array([None])])
def test_what_is_no_voxels_is_refused(exchange: Exchange, array: np.ndarray) -> None:
    with pytest.raises(InputError, match="array: expected"):
        exchange.put(array, "scan")


def test_a_reference_must_fit_its_file(exchange: Exchange) -> None:
    ref = exchange.put(np.ones(4, np.uint8), "scan")
    with pytest.raises(InputError, match="at least 5 bytes, got 4"):
        open_array(ArrayRef(ref.path, "|u1", (5,)))
    with pytest.raises(InputError, match="gone"):
        open_array(ArrayRef(ref.path + "x", "|u1", (4,)))
    with pytest.raises(InputError, match="numbers"):
        open_array(ArrayRef(ref.path, "|O", (1,)))
    with pytest.raises(InputError, match="expected a file of"):
        exchange.open(ArrayRef(sys.executable, "|u1", (4,)))


def fails_full(descriptor: int, start: int, size: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_an_error_before_it_is_a_crash(exchange: Exchange, monkeypatch) -> None:
    """Writing to a mapped file without blocks on a full disk kills the process; so the blocks are taken first."""
    with pytest.raises(EngineError, match="no room for 8"):
        exchange.new((2**40,), "float64", "huge")
    assert list(exchange.folder.glob("*.raw")) == []
    monkeypatch.setattr(os, "posix_fallocate", fails_full)
    with pytest.raises(EngineError, match=r"no room for 0 MB \(No space left"):
        exchange.new((3,), "float64", "quota")
    assert list(exchange.folder.glob("*.raw")) == []
    monkeypatch.delattr(os, "posix_fallocate")  # macOS and Windows
    assert exchange.open(exchange.new((3,), "float64", "fits")).tolist() == [0, 0, 0]


def test_folders_of_dead_processes_are_removed_those_of_living_ones_stay(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name, owner in {"dead": str(ended.pid), "mine": str(os.getpid()), "odd": "x", "new": None}.items():
        (tmp_path / (arrays.PREFIX + name)).mkdir()
        if owner is not None:
            (tmp_path / (arrays.PREFIX + name) / "owner").write_text(owner)
    (tmp_path / "other").mkdir()
    assert [p.name for p in remove_stale(tmp_path)] == [arrays.PREFIX + "dead"]
    assert sorted(p.name.removeprefix(arrays.PREFIX) for p in tmp_path.iterdir()) == ["mine", "new", "odd", "other"]


def test_windows_is_asked_in_its_own_way(monkeypatch) -> None:
    """os.kill(pid, 0) would send Ctrl+C there."""
    asked = []
    monkeypatch.setattr(arrays, "_lives_on_windows", lambda pid: asked.append(pid) or True)
    monkeypatch.setattr(os, "kill", lambda *a: pytest.fail("os.kill must not be used on Windows"))
    assert process_lives(4, "win32")
    assert asked == [4]


def test_another_users_process_lives(monkeypatch) -> None:
    def refuse(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert process_lives(1, "linux")
