"""Pictures and films for people: PNG, GIF and MP4, with nothing in them but what is seen.

No text, date or path is written into a file. Everything is read back and compared before it takes its place.
"""

from __future__ import annotations

import io
import subprocess
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import GifImagePlugin, Image, PngImagePlugin

from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import InputError, MissingExtraError, SaveError
from napari_medcnn.io.atomic import atomic_write
from napari_medcnn.io.found import shown

FILM_SUFFIXES = (".gif", ".mp4")
MAX_FRAMES = 5000
MAX_RATE = 30.0
#: Mean difference in grey levels that H.264 may make of a frame; another frame in its place differs more.
_LOSS = 12.0


def _nothing() -> None:
    return


@dataclass(frozen=True)
class Rate:
    """Frames per second, 0.5 to 30.

    A GIF counts hundredths of a second; `hundredths` is the nearest number of them, at least 3.
    """

    per_second: float

    def __post_init__(self) -> None:
        if not 0.5 <= self.per_second <= MAX_RATE:
            raise InputError(f"frames per second: expected 0.5 to {MAX_RATE:.0f}, got {self.per_second:g}")

    @property
    def hundredths(self) -> int:
        """How long one frame of a GIF stands."""
        return max(3, round(100 / self.per_second))


def png_bytes(picture: Array) -> bytes:
    """Return a picture, uint8 (height, width, 3), as PNG: header and pixels only."""
    file = io.BytesIO()
    Image.fromarray(_checked(picture)).save(file, "PNG", pnginfo=PngImagePlugin.PngInfo())
    return file.getvalue()


def save_png(picture: Array, path: Path | str) -> None:
    """Write a picture, uint8 (height, width, 3), and compare every pixel.

    Raises
    ------
    SaveError
        The disk failed, or what was written differs; an old file of that name is intact.
    """
    path = Path(path)
    data = png_bytes(picture)

    def verify(temporary: Path) -> None:
        with PngImagePlugin.PngImageFile(temporary) as back:
            pixels = np.asarray(back.convert("RGB"))
            named = bool(back.info or back.text)
        if named or not np.array_equal(pixels, picture):
            raise SaveError(f"{shown(path)}: not saved, the picture read back differs; the old file is unchanged")

    atomic_write(path, lambda temporary: _write(temporary, data), verify)


def can_write_mp4() -> bool:
    """Return True if the extra "video" is installed."""
    return find_spec("imageio_ffmpeg") is not None


def save_film(
    frames: Sequence[Array] | Array, path: Path | str, rate: Rate, stop: Callable[[], None] = _nothing
) -> None:
    """Write a film as .gif or .mp4 and compare number, size, order and time of its frames.

    Parameters
    ----------
    frames
        uint8 (height, width, 3) each, all of one size; at least one. May be a memory-mapped array (n, h, w, 3).
    rate
        Frames per second.
    stop
        Called between frames; raises `Cancelled` to end it.

    Raises
    ------
    SaveError
        The disk failed, the suffix is another, or what was written differs; an old file of that name is intact.
    MissingExtraError
        MP4 needs a package that is not installed; the message names it, and GIF as the way without.
    """
    path = Path(path)
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise InputError(f"frames: expected 1 to {MAX_FRAMES}, got {len(frames)}; choose fewer slices")
    sizes = {_checked(frame).shape for frame in frames}
    if len(sizes) != 1:
        raise InputError(f"frames: expected all of one size, got {sorted(sizes)}")
    suffix = path.suffix.lower()
    if suffix == ".gif":
        seen: list[tuple[int, int]] = []
        atomic_write(
            path,
            lambda temporary: _write_gif(temporary, frames, rate, seen, stop),
            lambda temporary: _verify_gif(temporary, path, seen, stop),
        )
    elif suffix == ".mp4":
        if not can_write_mp4():
            raise MissingExtraError(
                "Films as MP4 need imageio-ffmpeg, not installed here. Install with: pip install napari-medcnn[video]. "
                "Or choose GIF, which needs nothing."
            )
        atomic_write(
            path,
            lambda temporary: _write_mp4(temporary, path, frames, rate, stop),
            lambda temporary: _verify_mp4(temporary, path, frames, stop),
        )
    else:
        raise SaveError(f"{shown(path)}: expected a name that ends in .gif or .mp4; choose one of them")


# ---- GIF -------------------------------------------------------------------------------------------------------------


def _write_gif(
    temporary: Path, frames: Sequence[Array] | Array, rate: Rate, seen: list[tuple[int, int]], stop: Callable[[], None]
) -> None:
    """Write; `seen` gets (check sum, hundredths) of every picture: equal neighbours are one that stands longer."""
    step = rate.hundredths

    def pictures() -> Iterator[Image.Image]:
        for frame in frames:
            stop()
            # its own 256 colours for every frame: greys stay smooth beside the colours of the classes
            made = Image.fromarray(np.ascontiguousarray(frame)).quantize(
                256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
            )
            mark = _mark(made)
            if seen and seen[-1][0] == mark:
                seen[-1] = (mark, seen[-1][1] + step)
            else:
                seen.append((mark, step))
            yield made

    each = pictures()
    first = next(each)
    with temporary.open("wb") as file:
        first.save(file, "GIF", save_all=True, append_images=each, duration=step * 10, loop=0, optimize=False)


def _verify_gif(temporary: Path, path: Path, seen: list[tuple[int, int]], stop: Callable[[], None]) -> None:
    back: list[tuple[int, int]] = []
    named = False
    try:
        with GifImagePlugin.GifImageFile(temporary) as image:
            for index in range(image.n_frames):
                stop()
                image.seek(index)
                back.append((_mark(image), round(image.info.get("duration", 0) / 10)))
            named = "comment" in image.info
    except (OSError, SyntaxError, ValueError, EOFError, IndexError):  # what Pillow says of a GIF that is none
        back = []
    if named or back != seen:
        raise SaveError(f"{shown(path)}: not saved, the film read back differs; the old file is unchanged")


def _mark(image: Image.Image) -> int:
    return zlib.crc32(image.convert("RGB").tobytes())


# ---- MP4 -------------------------------------------------------------------------------------------------------------


def _write_mp4(
    temporary: Path, path: Path, frames: Sequence[Array] | Array, rate: Rate, stop: Callable[[], None]
) -> None:
    import imageio_ffmpeg

    height, width = _even(frames[0]).shape[:2]
    plain = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-f", "mp4"]
    writer = imageio_ffmpeg.write_frames(
        str(temporary), (width, height), fps=rate.per_second, quality=8, codec="libx264", macro_block_size=2,
        ffmpeg_log_level="quiet", output_params=plain,
    )  # fmt: skip
    try:
        writer.send(None)
        for frame in frames:
            stop()
            writer.send(np.ascontiguousarray(_even(frame)))
    except OSError as error:
        raise SaveError(
            f"{shown(path)}: not saved, the program that makes MP4 ended early; is the disk full? Or choose GIF"
        ) from error
    finally:
        writer.close()


def _verify_mp4(temporary: Path, path: Path, frames: Sequence[Array] | Array, stop: Callable[[], None]) -> None:
    """Decode it with the same program, started by ourselves: the package's reader leaves its pipes open."""
    import imageio_ffmpeg

    height, width = _even(frames[0]).shape[:2]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "quiet", "-i", str(temporary), "-f", "rawvideo"]
    command += ["-pix_fmt", "rgb24", "-fps_mode", "passthrough", "-"]
    count, same = 0, True
    hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, creationflags=hidden
    ) as reader:
        try:
            while reader.stdout is not None and (data := reader.stdout.read(width * height * 3)):
                stop()
                same = same and len(data) == width * height * 3 and count < len(frames)
                if same:
                    pixels = np.frombuffer(data, np.uint8).reshape(height, width, 3).astype(np.int16)
                    same = float(np.abs(pixels - _even(frames[count])).mean()) <= _LOSS
                count += 1
        finally:
            reader.kill()
    if not same or count != len(frames):
        raise SaveError(f"{shown(path)}: not saved, the film read back differs; the old file is unchanged")


def _even(frame: Array) -> Array:
    """Return a frame with an even number of rows and columns, as H.264 needs them: black is added."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0))) if height % 2 or width % 2 else frame


# ---- both ------------------------------------------------------------------------------------------------------------


def _checked(picture: Array) -> Array:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise InputError(f"picture: expected uint8 (height, width, 3), got {picture.dtype} {picture.shape}")
    return np.ascontiguousarray(picture)


def _write(temporary: Path, data: bytes) -> None:
    temporary.write_bytes(data)
