"""Occlusion of a program of the user's: one run of it for each piece, counted and calculated by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.events import Cancel, Failed, Progress, Result, result_of
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.saliency import SaliencyMap
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import Cancelled, InputError, UnsupportedError
from napari_medcnn.io.commands import save_command
from napari_medcnn.verbs import explain
from napari_medcnn.verbs.explain import ExplainRequest

STUB = Path(__file__).resolve().parents[1] / "stub_program.py"
GRID = Geometry((2, 4, 4), (1.0, 1.0, 1.0))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stub uses POSIX signals")


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))
    arguments = (sys.executable, str(STUB), "named", "{input}", "{output}")
    save_command(CommandModel("stub", "The stub", arguments, licence="CC0-1.0"))


@pytest.fixture
def scan() -> Volume:
    """Two bright voxels in one quarter and three in another: what is brighter than the mean is marked."""
    array = np.zeros((2, 4, 4), np.int16)
    array[0, 0, 0] = array[1, 1, 1] = 900
    array[0, 2:, 3] = array[1, 3, 2] = 800
    return Volume(array, GRID, modality="CT")


def asked(scan: Volume, mask: LabelMap | None = None, **options: object) -> SaliencyMap:
    chosen = ExplainOptions(**{"method": "occlusion", "patch_mm": 2.0, "baseline": "black", **options})  # type: ignore[arg-type]
    return result_of(explain.run(ExplainRequest(scan, "stub", chosen, mask), Cancel(), None))  # type: ignore[arg-type]


def test_what_is_lost_when_a_piece_is_gone(scan: Volume) -> None:
    made = asked(scan)
    # four columns of 2 x 2 x 2 voxels, side by side; the threshold falls a little and no dark voxel ever passes it
    expected = np.zeros((2, 4, 4))
    expected[:, :2, :2], expected[:, 2:, 2:] = 2, 3
    np.testing.assert_array_equal(made.values, expected)
    assert made.values.dtype == np.float32 and made.score == 5
    assert made.facts["runs"] == 5 and made.facts["patch_mm"] == [2.0, 2.0, 2.0]
    assert made.provenance.model["kind"] == "program of the user" and "voxels marked as" in made.target
    drawn = np.zeros(GRID.shape, np.uint8)
    drawn[0, 2:, 2:] = 1
    request = ExplainRequest(scan, "stub", ExplainOptions("occlusion"))
    found = result_of(explain.check(request, made, LabelMap(drawn, GRID, LabelSet()), Cancel(), None))  # type: ignore[arg-type]
    assert found.badge == "not checked" and "cannot be replaced" in found.check.words
    assert found.check.energy == pytest.approx(12 / 40)  # 4 voxels of 3; in all 8 of 2 and 8 of 3


def test_only_the_piece_that_was_clicked_is_counted(scan: Volume) -> None:
    made = asked(scan, voxel=(1, 3, 2), negate=True)
    assert made.score == -3 and not made.values[:, :2, :2].any() and np.all(made.values[:, 2:, 2:] == -3)
    drawn = np.zeros(GRID.shape, np.uint8)
    drawn[0, 0, 0] = 3
    whole = asked(scan, LabelMap(drawn, GRID, LabelSet()), patch_mm=4.0)  # one piece: the scan is gone
    assert np.all(whole.values == 1)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"method": "grad-cam"}, UnsupportedError, "choose the method occlusion"),
        ({"supervoxels": True}, InputError, "supervoxels: has no meaning"),
        ({"target": "ghost"}, InputError, "target: expected one of"),
        ({"voxel": (0, 0, 3)}, InputError, "background"),
    ],
)
def test_refused(scan: Volume, options: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        asked(scan, **options)


def test_progress_and_cancel(scan: Volume) -> None:
    cancel, seen = Cancel(), []
    request = ExplainRequest(scan, "stub", ExplainOptions("occlusion", patch_mm=2.0))
    for event in explain.run(request, cancel, None):  # type: ignore[arg-type]
        seen.append(event)
        if isinstance(event, Progress) and event.fraction is not None and event.fraction > 0.3:
            cancel.set()
    assert isinstance(seen[-1], Failed) and isinstance(seen[-1].error, Cancelled)
    assert not any(isinstance(event, Result) for event in seen)
    (told,) = [event.expected for event in seen if isinstance(event, Progress) and event.expected]
    assert told > 0
    assert "Occlusion: 3 of 5 runs" in {event.message for event in seen if isinstance(event, Progress)}
