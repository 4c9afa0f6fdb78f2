"""Rules that hold for every series, over random mixtures of headers; and headers of damaged files."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_files import plane_groups, shared_groups, write_enhanced, write_image
from napari_medcnn.errors import IncompleteFileError, InputError
from napari_medcnn.io.dicom.facts import Frame, Header, Stored
from napari_medcnn.io.dicom.gate import sort_series
from napari_medcnn.io.dicom.headers import read_header

STORED = Stored("1.2.840.10008.1.2.1", 8, 6)
PLAIN = Frame(row=(1.0, 0.0, 0.0), column=(0.0, 1.0, 0.0), pixel_mm=(0.8, 0.7), thickness_mm=2.5)


@st.composite
def headers(draw: st.DrawFn) -> list[Header]:
    """Files of one series that differ in whatever a series may differ in; no file exists."""
    found = []
    for k in range(draw(st.integers(1, 24))):
        position = (draw(st.sampled_from([0.0, 0.0, 0.0, 5.0])), 0.0, 2.5 * draw(st.integers(0, 5)))
        moment: dict[str, float | str] = {}
        for key in ("EchoTime", "TemporalPositionIdentifier", "AcquisitionTime", "DiffusionBValue", "SliceLocation"):
            if draw(st.booleans()):
                moment[key] = float(draw(st.integers(1, 3)))
        turned = {"row": (0.0, 1.0, 0.0), "column": (0.0, 0.0, -1.0)} if draw(st.integers(0, 9)) == 0 else {}
        frame = replace(
            PLAIN,
            position=None if draw(st.integers(0, 9)) == 0 else position,
            moment=moment,
            instance=draw(st.integers(0, 30)),
            pixel_mm=draw(st.sampled_from([(0.8, 0.7), (0.8, 0.7), None])),
            **turned,
        )
        stored = replace(STORED, photometric=draw(st.sampled_from(["MONOCHROME2"] * 4 + ["MONOCHROME1"])))
        found.append(
            Header(
                Path(f"/nowhere/{k}"), series_uid="1.2.3", modality=draw(st.sampled_from(["MR", "MR", "OT"])),
                sop_uid=str(draw(st.integers(1, 30))), person_key=draw(st.sampled_from(["a", "a", "a", "b"])),
                image_type=draw(st.sampled_from([("ORIGINAL", "PRIMARY", "M"), ("ORIGINAL", "PRIMARY", "P"),
                                                 ("DERIVED", "PRIMARY", "M")])),
                stored=stored, frames=(frame,),
            )
        )  # fmt: skip
    return found


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(headers())
def test_nothing_is_lost_and_nothing_comes_twice(series: list[Header]) -> None:
    parts = sort_series(series)
    assert len({p.id for p in parts}) == len(parts)
    shown = Counter(
        p.header.path for part in parts for p in [*itertools.chain(*part.planes), *(d for _, _, d in part.duplicates)]
    )
    assert max(shown.values(), default=0) <= 1
    files = [f for part in parts for f in part.files]
    assert sorted(files) == sorted(h.path for h in series)  # each file in one part only: none exists, so none is a copy
    refused = {f for part in parts if not part.planes for f in part.files}
    assert set(shown) | refused == {h.path for h in series}
    for part in parts:
        assert bool(part.planes) == (not part.report.refused or bool(part.report.asks))
        assert part.files == tuple(sorted(part.files))
        assert all(words and words.isprintable() for words in (*part.report.found, *part.report.warnings))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(headers())
def test_what_opens_is_one_grid_of_one_patient(series: list[Header]) -> None:
    for part in sort_series(series):
        planes = list(itertools.chain(*part.planes))
        if not planes:
            continue
        assert len({p.header.person_key for p in planes}) == 1
        assert len({(p.frame.row, p.frame.pixel_mm) for p in planes}) == 1
        assert len({p.header.stored.photometric for p in planes if p.header.stored}) == 1
        for time in part.planes:
            places = [p.frame.position for p in time]
            assert places == [p.frame.position for p in part.planes[0]]  # every time point at the same places
        if part.geometry is not None and part.geometry.orientation_known:
            z = part.geometry.shape[0]
            expected = part.geometry.index_to_lps([(k, 0, 0) for k in range(z)])
            np.testing.assert_allclose([p.frame.position for p in part.planes[0]], expected, atol=1e-6)
        if part.axes[0] == "t":
            assert len(part.frame_values) == len(part.planes) > 1


@settings(max_examples=60, deadline=None)
@given(headers(), st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_the_order_of_files(series: list[Header], random) -> None:
    mixed = list(series)
    random.shuffle(mixed)
    one, two = sort_series(series), sort_series(mixed)
    assert [(p.id, p.title, p.planes, p.report) for p in one] == [(p.id, p.title, p.planes, p.report) for p in two]


@pytest.mark.parametrize("kind", ["plain", "enhanced"])
def test_headers_of_damaged_files_are_headers_or_named_errors(tmp_path: Path, kind: str) -> None:
    pixels = np.arange(2 * 8 * 6, dtype=np.int16).reshape(2, 8, 6)
    if kind == "plain":
        path = write_image(tmp_path / "a", pixels[0], {"PixelSpacing": [1, 1], "WindowCenter": 3, "WindowWidth": 4})
    else:
        path = write_enhanced(tmp_path / "a", pixels, [plane_groups((0, 0, k)) for k in range(2)], shared_groups())
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    read = 0
    for _ in range(400):
        raw = bytearray(whole)
        for at in rng.integers(132, len(raw), rng.integers(1, 6)):
            raw[at] = rng.integers(0, 256)
        path.write_bytes(bytes(raw))
        try:
            header = read_header(path)
        except InputError as error:
            assert str(error).isprintable()
            continue
        sort_series([header])
        read += 1
    assert read > 50


def test_frames_that_cannot_be_there_are_not_counted_out(tmp_path: Path) -> None:
    """A compressed file of one fragment that claims ten million frames is refused before a frame is made."""
    import pydicom

    path = write_image(tmp_path / "a", np.zeros((8, 6), np.int16))
    data = pydicom.dcmread(path)
    data.compress("1.2.840.10008.1.2.5")
    data.NumberOfFrames = 10_000_000
    data.save_as(path)
    with pytest.raises(IncompleteFileError, match="1 of 10000000 compressed pictures"):
        read_header(path)
