"""A save that fails leaves the old file, byte for byte, and says so (rows 35, 36 and 38)."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import InputError, SaveError
from napari_medcnn.io import atomic, encode
from napari_medcnn.io.atomic import atomic_write, check_name, remove_leftovers, sync_folder
from napari_medcnn.io.read import read_volume
from napari_medcnn.io.save import save_labels, save_text, save_volume

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs POSIX limits and signals")
GRID = Geometry((40, 64, 64), (3.0, 0.8, 0.7))
NOISE = Volume(np.random.default_rng(0).integers(-2000, 2000, GRID.shape).astype(np.int16), GRID)


def in_child(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    head = """
        import resource, sys, signal
        import numpy as np
        from pathlib import Path
        from napari_medcnn.core.geometry import Geometry
        from napari_medcnn.core.volume import LabelMap, Volume
        from napari_medcnn.errors import SaveError
        from napari_medcnn.io.save import save_labels, save_volume
        grid = Geometry((40, 64, 64), (3.0, 0.8, 0.7))
        big = Volume(np.random.default_rng(1).integers(-2000, 2000, grid.shape).astype(np.int16), grid)
    """
    source = textwrap.dedent(head) + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", source, *arguments], capture_output=True, text=True, timeout=120)


@linux
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_row_36_a_file_size_limit_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"v{suffix}"
    save_volume(NOISE, path)
    before = path.read_bytes()
    done = in_child(
        """
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            save_volume(big, sys.argv[1])
        except SaveError as error:
            print("SaveError", error)
        """,
        str(path),
    )
    assert "SaveError" in done.stdout, done.stderr
    assert "larger than this system allows" in done.stdout
    assert "unchanged" in done.stdout
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@linux
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root")
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_row_36_a_full_disk_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        small = Geometry((4, 64, 64), (3.0, 0.8, 0.7))
        path = disk / f"v{suffix}"
        save_volume(Volume(NOISE.array[:4], small), path)
        before = path.read_bytes()
        with pytest.raises(SaveError, match=r"disk is full.*unchanged"):
            save_volume(Volume(np.tile(NOISE.array, (3, 1, 1)), Geometry((120, 64, 64))), path)
        assert path.read_bytes() == before
        assert [p.name for p in disk.iterdir()] == [path.name]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@linux
def test_row_38_kill_during_save_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "m.nii.gz"
    source = """
    for number in range(10_000):
        save_labels(LabelMap(np.full((20, 64, 64), number % 200 + 1, np.uint8), Geometry((20, 64, 64))), sys.argv[1])
        print(number, flush=True)
    """
    head = (
        "import sys\nimport numpy as np\nfrom napari_medcnn.core.geometry import Geometry\n"
        "from napari_medcnn.core.volume import LabelMap\nfrom napari_medcnn.io.save import save_labels\n"
    )
    moments = random.Random(0)
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", head + textwrap.dedent(source), str(path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        child.stdout.readline()  # one save is done
        time.sleep(moments.uniform(0.0, 0.2))
        child.send_signal(signal.SIGKILL)
        child.wait(30)
        child.stdout.close()
        values = np.unique(read_volume(path).array)
        assert len(values) == 1
    assert remove_leftovers(tmp_path, older_than_s=-1.0) <= 4
    assert [p.name for p in tmp_path.iterdir()] == ["m.nii.gz"]


def test_what_reads_back_different_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v.nii.gz"
    save_volume(NOISE, path)
    before = path.read_bytes()
    real = encode.write

    def flipped(file, suffix, array, record):  # a writer with a fault: one voxel wrong
        wrong = array.copy()
        wrong[3, 4, 5] += 1
        real(file, suffix, wrong, record)

    monkeypatch.setattr(encode, "write", flipped)
    with pytest.raises(SaveError, match="voxels read back differ"):
        save_volume(NOISE, path)

    def moved(file, suffix, array, record):
        other = Geometry(GRID.shape, GRID.spacing_mm, (0.0, 0.0, 0.01))
        real(file, suffix, array, encode.Record(record.axes, other, record.labels))

    monkeypatch.setattr(encode, "write", moved)
    with pytest.raises(SaveError, match="position"):
        save_volume(NOISE, path)

    def unnamed(file, suffix, array, record):
        real(file, suffix, array, encode.Record(record.axes, record.geometry, None))

    monkeypatch.setattr(encode, "write", unnamed)
    from napari_medcnn.core.labels import LabelSet

    with pytest.raises(SaveError, match="class names"):
        save_labels(LabelMap(np.ones(GRID.shape, np.uint8), GRID, LabelSet.from_names(["liver"])), path)

    def cut(file, suffix, array, record):
        real(file, suffix, array, record)
        file.truncate(file.tell() - 100)

    monkeypatch.setattr(encode, "write", cut)
    with pytest.raises(SaveError, match="does not read back"):
        save_volume(NOISE, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["v.nii.gz"]


def test_row_35_folders_that_cannot_be_written_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SaveError, match="absent: there is no such folder"):
        save_text("x", tmp_path / "absent" / "t.txt")
    with monkeypatch.context() as patch:  # root may write anywhere, so the answer of the system is replaced
        patch.setattr(os, "access", lambda *_: False)
        with pytest.raises(SaveError, match="read-only"):
            save_text("x", tmp_path / "t.txt")
    with pytest.raises(SaveError, match="too long"):
        save_text("x", tmp_path / ("n" * 300))


@linux
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a read-only disk needs root")
def test_row_35_a_read_only_disk_is_named(tmp_path: Path) -> None:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(tmp_path)], capture_output=True
    ).returncode:
        pytest.skip("a disk cannot be mounted here")
    try:
        with pytest.raises(SaveError, match="read-only"):
            save_text("x", tmp_path / "t.txt")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_target_open_in_another_program_is_a_named_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses to replace an open file; here the same refusal is given by hand."""
    path = tmp_path / "t.txt"
    save_text("old", path)

    def refused(*_):
        raise PermissionError(errno.EACCES, "Access is denied")

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(SaveError, match="open in another program"):
        save_text("new", path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["t.txt"]


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EIO, "reports a fault")]
)
def test_faults_of_the_disk_at_the_last_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    """A network disk may report a full quota only when the data is flushed."""
    path = tmp_path / "t.txt"
    save_text("old", path)

    def failing(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(SaveError, match=words):
        save_text("new", path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["t.txt"]


def test_folders_are_synced_where_the_system_can(tmp_path: Path) -> None:
    assert sync_folder(tmp_path, "nt") is False
    assert sync_folder(tmp_path, "posix") is True
    assert sync_folder(tmp_path / "absent", "posix") is False


@pytest.mark.parametrize("name", ["a:b.nii", "con.nii", "NUL", "dot.", "q?.png", "tab\t.png"])
def test_row_17_names_that_windows_refuses_are_said(name: str) -> None:
    check_name(Path(name), "linux")
    with pytest.raises(SaveError, match="Windows"):
        check_name(Path(name), "win32")
    check_name(Path("Ä b 漢字.nii.gz"), "win32")


@linux
def test_rights_and_links_of_the_old_file_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "t.txt", tmp_path / "link.txt"
    save_text("old", path)
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask
    path.chmod(0o640)
    link.symlink_to(path)
    save_text("new", link)
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640


@linux
@pytest.mark.parametrize("through", ["t.txt", "link.txt"])
def test_a_write_protected_file_is_not_replaced(tmp_path: Path, through: str) -> None:
    path = tmp_path / "t.txt"
    (tmp_path / "link.txt").symlink_to(path)
    save_text("old", path)
    path.chmod(0o444)
    with pytest.raises(SaveError, match=r"t.txt: not saved, the file is write-protected; save under another name"):
        save_text("new", tmp_path / through)
    assert path.read_text() == "old" and sorted(p.name for p in tmp_path.iterdir()) == ["link.txt", "t.txt"]
    path.chmod(0o644)
    save_text("new", tmp_path / through)
    assert path.read_text() == "new"


def test_leftovers_of_a_killed_process_go_when_they_are_old(tmp_path: Path) -> None:
    old, young = tmp_path / ".a.nii.x1.medcnn-tmp", tmp_path / ".a.nii.x2.medcnn-tmp"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 100_000,) * 2)
    save_text("x", tmp_path / "t.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == [young.name, "t.txt"]


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def broken(_: Path) -> None:
        raise InputError("a fault")

    with pytest.raises(SaveError, match="a fault"):
        atomic_write(tmp_path / "a", broken, lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "a", lambda _: (_ for _ in ()).throw(KeyboardInterrupt), lambda _: None)
    assert list(tmp_path.iterdir()) == []
    assert atomic.remove_leftovers(tmp_path / "absent") == 0
