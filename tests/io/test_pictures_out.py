"""Pictures and films: read back by others (Pillow, ffmpeg), nothing in them but pixels, nothing half-written."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_medcnn.errors import Cancelled, InputError, MissingExtraError, SaveError
from napari_medcnn.io import pictures_out
from napari_medcnn.io.pictures_out import Rate, png_bytes, save_film, save_png


def frames(count: int = 5, height: int = 41, width: int = 60) -> np.ndarray:
    """Each frame: a grey wedge with one white column that moves, and a red square that stays."""
    wedge = np.broadcast_to(np.linspace(20, 120, width).astype(np.uint8), (height, width))
    made = np.repeat(wedge[None, :, :, None], 3, axis=3).repeat(count, axis=0).copy()
    for k in range(count):
        made[k, :, 8 * k : 8 * k + 6] = 255
        made[k, 30:36, 40:50] = (200, 30, 30)
    return made


def test_png_holds_the_pixels_and_nothing_else(tmp_path: Path) -> None:
    picture = frames(1)[0]
    save_png(picture, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as back:
        assert np.array_equal(np.asarray(back), picture)
        assert back.info == {}
    data = (tmp_path / "a.png").read_bytes()
    kinds = set()
    at = 8
    while at < len(data):  # PNG 1.2, section 3.2: length, type, data, check sum
        kinds.add(data[at + 4 : at + 8])
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    assert kinds == {b"IHDR", b"IDAT", b"IEND"}
    assert png_bytes(picture) == data


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.int16), np.zeros((0, 4, 3), np.uint8)]
)
def test_png_of_something_else_is_refused(bad: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="uint8"):
        save_png(bad, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_gif_has_every_frame_for_its_time(tmp_path: Path) -> None:
    made = frames(7)
    save_film(made, tmp_path / "a.gif", Rate(10))
    with Image.open(tmp_path / "a.gif") as back:
        assert back.n_frames == 7
        assert back.size == (60, 41)
        for k in range(7):
            back.seek(k)
            pixels = np.asarray(back.convert("RGB")).astype(int)
            assert back.info["duration"] == 100
            assert np.abs(pixels - made[k]).max() <= 8  # 256 colours of its own
            assert np.abs(pixels[10, 8 * k + 2] - 255).max() <= 2


def test_gif_of_frames_that_do_not_change_is_as_long(tmp_path: Path) -> None:
    made = frames(5)
    made[2] = made[1]
    save_film(made, tmp_path / "a.gif", Rate(5))
    with Image.open(tmp_path / "a.gif") as back:
        times = []
        for k in range(back.n_frames):
            back.seek(k)
            times.append(back.info["duration"])
    assert times == [200, 400, 200, 200]


def test_one_frame_is_a_film(tmp_path: Path) -> None:
    save_film(frames(1), tmp_path / "a.gif", Rate(5))
    with Image.open(tmp_path / "a.gif") as back:
        assert back.n_frames == 1


def test_mp4_has_every_frame(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="the extra 'video' is not installed")
    made = frames(9, 41, 61)  # odd: black is added
    save_film(made, tmp_path / "a.mp4", Rate(12.5))
    count, seconds = ffmpeg.count_frames_and_secs(str(tmp_path / "a.mp4"))
    assert (count, seconds) == (9, pytest.approx(9 / 12.5, abs=0.02))
    ran = subprocess.run(
        [ffmpeg.get_ffmpeg_exe(), "-i", str(tmp_path / "a.mp4"), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert b"62x42" in ran.stderr
    back = np.frombuffer(ran.stdout, np.uint8).reshape(-1, 42, 62, 3)
    assert len(back) == 9
    for k, pixels in enumerate(back):
        if 8 * k + 6 < 61:
            assert pixels[10, 8 * k + 3].mean() > 200
        assert np.abs(pixels[:41, :61].astype(int) - made[k]).mean() < 12
    assert str(tmp_path).encode() not in (tmp_path / "a.mp4").read_bytes()


def test_mp4_that_lost_frames_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imageio_ffmpeg", reason="the extra 'video' is not installed")
    (tmp_path / "a.mp4").write_bytes(b"old")
    write = pictures_out._write_mp4
    monkeypatch.setattr(
        pictures_out,
        "_write_mp4",
        lambda temporary, path, frames, rate, stop: write(temporary, path, frames[1:], rate, stop),
    )
    with pytest.raises(SaveError, match="differs"):
        save_film(frames(6), tmp_path / "a.mp4", Rate(5))
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.mp4", b"old")]


def test_mp4_without_its_program_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures_out, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"napari-medcnn\[video\].*GIF"):
        save_film(frames(2), tmp_path / "a.mp4", Rate(5))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_stopping_leaves_the_old_film(tmp_path: Path, suffix: str) -> None:
    if suffix == ".mp4":
        pytest.importorskip("imageio_ffmpeg", reason="the extra 'video' is not installed")
    target = tmp_path / f"a{suffix}"
    target.write_bytes(b"old")
    asked = []

    def stop() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        save_film(frames(6), target, Rate(5), stop)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [(target.name, b"old")]


def test_a_gif_cut_on_the_disk_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.gif").write_bytes(b"old")
    write = pictures_out._write_gif

    def cut(temporary: Path, *rest: object) -> None:
        write(temporary, *rest)
        data = temporary.read_bytes()
        temporary.write_bytes(data[: len(data) * 2 // 3])

    monkeypatch.setattr(pictures_out, "_write_gif", cut)
    with pytest.raises(SaveError):
        save_film(frames(6), tmp_path / "a.gif", Rate(5))
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.gif", b"old")]


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(temporary: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pictures_out, "_write", full)
    with pytest.raises(SaveError, match="disk is full"):
        save_png(frames(1)[0], tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rate", [0, 0.4, 31, float("nan")])
def test_a_rate_that_no_player_shows_is_refused(rate: float) -> None:
    with pytest.raises(InputError, match="frames per second"):
        Rate(rate)


@pytest.mark.parametrize(("per_second", "hundredths"), [(10, 10), (12, 8), (30, 3), (0.5, 200), (24, 4)])
def test_gif_time_is_the_nearest_hundredth(per_second: float, hundredths: int) -> None:
    assert Rate(per_second).hundredths == hundredths


@pytest.mark.parametrize("name", ["a.avi", "a", ".gif"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SaveError, match=r"\.gif or \.mp4"):
        save_film(frames(2), tmp_path / name, Rate(5))


def test_frames_of_two_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one size"):
        save_film([frames(1)[0], frames(1, 40, 60)[0]], tmp_path / "a.gif", Rate(5))
    with pytest.raises(InputError, match="frames"):
        save_film([], tmp_path / "a.gif", Rate(5))
