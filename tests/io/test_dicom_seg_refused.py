"""Segmentations that no grid holds, hostile and damaged ones: refused in words, never wrong, never large."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from napari_medcnn.errors import GeometryError, IncompleteFileError, InputError, UnsupportedError
from napari_medcnn.io.dicom.headers import read_header
from napari_medcnn.io.dicom.seg import inspect_seg, read_seg
from seg_files import SHAPE, parts, refused, source_series, write_seg

# --- refused, in words -----------------------------------------------------------------------------------------------


def positions(data: Any) -> list[Any]:
    return [g.PlanePositionSequence[0] for g in data.PerFrameFunctionalGroupsSequence]


def uneven(data: Any) -> None:
    positions(data)[-1].ImagePositionPatient = [10.0, 20.0, 30.0 + 6.4 * 2.5]


def tilted(data: Any) -> None:
    for p in positions(data):
        x, y, z = p.ImagePositionPatient
        p.ImagePositionPatient = [x, float(y) + 0.3 * (float(z) - 30.0), z]


def turned(data: Any) -> None:
    group = data.PerFrameFunctionalGroupsSequence[2]
    lie = pydicom.Dataset()
    lie.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    group.PlaneOrientationSequence = pydicom.Sequence([lie])


def sheared(data: Any) -> None:
    data.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0.5, 0.8, 0]


def unplaced(data: Any) -> None:
    del data.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence


def nowhere(data: Any) -> None:
    for group in data.PerFrameFunctionalGroupsSequence:
        del group.PlanePositionSequence


def distant(data: Any) -> None:
    positions(data)[0].ImagePositionPatient = [1e12, 0.0, 0.0]


def twice(data: Any) -> None:
    data.SegmentSequence[1].SegmentNumber = 1


def stranger(data: Any) -> None:
    data.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 9


def doubled(data: Any) -> None:
    first, second = data.PerFrameFunctionalGroupsSequence[:2]
    second.PlanePositionSequence, second.SegmentIdentificationSequence = (
        first.PlanePositionSequence, first.SegmentIdentificationSequence,
    )  # fmt: skip


def strange_type(data: Any) -> None:
    data.SegmentationType = "SURFACE"


def no_maximum(data: Any) -> None:
    data.SegmentationType = "FRACTIONAL"


def short(data: Any) -> None:
    data.PerFrameFunctionalGroupsSequence = pydicom.Sequence(list(data.PerFrameFunctionalGroupsSequence)[:2])


@pytest.mark.parametrize(
    ("change", "words", "error"),
    [
        (uneven, "are no multiples of one distance, so no even grid holds them", GeometryError),
        (tilted, "do not lie straight above each other", GeometryError),
        (turned, "its frames lie in different directions (frames 1 and 3)", GeometryError),
        (sheared, "not two directions at right angles", InputError),
        (unplaced, "1 of 15 frames state no position", InputError),
        (nowhere, "15 frames without a position in the patient", GeometryError),
        (distant, "that is no patient", GeometryError),
        (twice, "two segments have the number 1", InputError),
        (stranger, "frame 1 belongs to segment 9, which the file does not describe", InputError),
        (doubled, "frames 1 and 2 show one segment in one plane", InputError),
        (strange_type, "expected a segmentation of type BINARY, FRACTIONAL or LABELMAP, got SURFACE", UnsupportedError),
        (no_maximum, "needs MaximumFractionalValue (1 to 255), got none", InputError),
        (short, "holds 15 frames and says of 2 of them where they belong", InputError),
    ],
)
def test_what_no_grid_holds_is_refused(tmp_path: Path, change: Any, words: str, error: type[Exception]) -> None:
    sources = source_series(tmp_path / "ct", SHAPE)
    refused(write_seg(tmp_path / "s.dcm", sources, parts(), "BINARY", change=change), words, error)


def test_a_grid_larger_than_memory_is_refused_before_it_is_taken(tmp_path: Path) -> None:
    def spread(data: Any) -> None:
        places = positions(data)
        for k, p in enumerate(places):
            p.ImagePositionPatient = [0.0, 0.0, 0.0 if k == 0 else 60000.0]
        places[1].ImagePositionPatient = [0.0, 0.0, 1.0]
        measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.SpacingBetweenSlices = 1.0

    shape = (3, 2048, 2048)
    truth = np.zeros(shape, np.uint8)
    truth[:, 5, 5] = 1
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", shape), truth, "BINARY", change=spread)
    with pytest.raises(InputError, match="of memory are free"):  # 60,001 planes of 4 MB
        read_seg(read_header(path), None)


def test_a_cut_file_never_opens(tmp_path: Path) -> None:
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", SHAPE), parts(), "BINARY")
    header = read_header(path)
    data = path.read_bytes()
    path.write_bytes(data[:-200])
    with pytest.raises(IncompleteFileError, match=r"incomplete \(\d+ of \d+ bytes"):
        read_seg(header, None)
    with pytest.raises(IncompleteFileError):
        read_header(path)


def test_a_syntax_that_nothing_reads_is_named(tmp_path: Path) -> None:
    def other(data: Any) -> None:
        data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
        data.PixelData = pydicom.encaps.encapsulate([b"\0\0\1\xb3"] * data.NumberOfFrames)
        data["PixelData"].is_undefined_length = True

    path = tmp_path / "s.dcm"
    write_seg(path, source_series(tmp_path / "ct", SHAPE), parts(), "BINARY", change=other)
    refused(path, "MPEG2 Main Profile / Main Level, which no package we know of reads", UnsupportedError)


def test_a_missing_decoder_is_named(shared_data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shared_data("zoo-pydicom-data/liver_j2k.dcm")
    from napari_medcnn.io.dicom.masks import seg_pixels

    class Without:
        is_available = False
        missing_dependencies = ("pylibjpeg - requires pylibjpeg>=2.0 and pylibjpeg-openjpeg>=2.0",)

    monkeypatch.setattr(seg_pixels, "get_decoder", lambda syntax: Without())
    refused(path, "JPEG 2000 Image Compression (Lossless Only); a decoder is missing (pylibjpeg", UnsupportedError)


# --- memory, and damage at random ------------------------------------------------------------------------------------


def test_frames_are_unpacked_one_at_a_time(tmp_path: Path) -> None:
    shape = (16, 256, 256)
    stack = np.zeros((*shape, 40), bool)
    stack[:, ::2, ::2] = np.arange(40) < 1
    for k in range(1, 40):
        stack[:, 2 * k + 1, :, k] = True
    path = write_seg(tmp_path / "s.dcm", source_series(tmp_path / "ct", shape), stack, "BINARY")
    header = read_header(path)
    frames = pydicom.dcmread(path, stop_before_pixels=True).NumberOfFrames
    assert frames == 640  # 42 MB unpacked
    del stack
    tracemalloc.start()
    mask = read_seg(header, None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(np.unique(mask.array)) == 41
    # the result is 1 MB; one plane with its 40 masks, 2.6 MB; the rest is the parsed header
    assert peak < 20e6


def test_dropping_anything_gives_a_named_error_or_a_mask(tmp_path: Path) -> None:
    sources = source_series(tmp_path / "ct", SHAPE)
    path = write_seg(tmp_path / "s.dcm", sources, parts(), "BINARY")
    opened = dropped = 0
    for keys in _paths(pydicom.dcmread(path)):
        data = pydicom.dcmread(path)
        owner = data
        for tag, number in keys[:-1]:
            owner = owner[tag].value[number]
        del owner[keys[-1][0]]
        target = tmp_path / "dropped.dcm"
        try:
            data.save_as(target, enforce_file_format=False)
        except (AttributeError, ValueError):
            continue  # pydicom cannot write it without
        dropped += 1
        try:
            header = read_header(target)
            for item in inspect_seg(header):
                if item.kind != "other":
                    mask = read_seg(header, item.id)
                    assert int(np.asarray(mask.array).max(initial=0)) <= 3
                    opened += 1
                else:
                    assert item.report.refused[0].startswith("dropped.dcm: ")
        except InputError as error:
            assert str(error).startswith("dropped.dcm: ")
    assert dropped > 100 and opened > 50


def _paths(data: pydicom.Dataset, depth: int = 0) -> list[list[tuple[Any, int]]]:
    """Return the way to every element, following the first item of each sequence."""
    found = []
    for element in data:
        found.append([(element.tag, 0)])
        if element.VR == "SQ" and len(element.value) and depth < 3:
            found += [[(element.tag, 0), *rest] for rest in _paths(element.value[0], depth + 1)]
    return found
