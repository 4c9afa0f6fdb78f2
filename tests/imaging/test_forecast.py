"""The forecast of a run: hand-counted, and compared with the memory that a run with a stub network really takes."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.spec import Decision, ModelSpec, Preparation
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import GeometryError, InputError
from napari_medcnn.imaging import forecast as module
from napari_medcnn.imaging import pipeline
from napari_medcnn.imaging.forecast import Need, forecast, forecast_for, free_bytes, gigabytes
from napari_medcnn.imaging.patches import plan_tiles, stream_scores

CLIP = (("clip", {"low": -1000, "high": 1000}),)


def spec(classes=3, tile=(16, 16, 16), **preparation):
    return ModelSpec(
        "stub",
        "Stub",
        "segmentation",
        Preparation(len(tile), 1, **{"steps": CLIP, **preparation}),
        LabelSet.for_ids(tuple(range(1, classes))),
        Decision(tuple(range(classes)), True),
        "softmax",
        tile=tile,
        divisor=8,
    )


def run(volume, model, options):
    """Predict with a stub network; return the peak of what was allocated, the scan itself included."""
    answer = np.random.default_rng(0).random((*model.tile, len(model.decision.ids)), np.float32)
    tracemalloc.start()
    prepared = pipeline.prepare(volume, model.preparation, region=options.region, window=model.tile)
    plan = pipeline.plan(prepared, model.tile, model.overlap, model.divisor)
    slabs = stream_scores(prepared.data, plan, lambda window: answer[: plan.tile[0]].copy())
    pipeline.restore_scores(slabs, prepared.record, model.decision, uncertainty=options.uncertainty)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak + volume.array.nbytes, plan


@pytest.mark.parametrize("classes", [2, 20])
@pytest.mark.parametrize("spacing_mm", [None, (2.0, 2.0, 2.0), (1.0, 0.5, 0.5)])
@pytest.mark.parametrize("region", [None, ((10, 30), (20, 60), (0, 40))])
def test_the_forecast_is_what_a_run_takes_and_at_most_a_half_more(classes, spacing_mm, region, monkeypatch):
    monkeypatch.setattr(module, "NETWORK_CHANNELS", 0)  # the stub has no layers
    values = np.random.default_rng(0).integers(-1000, 1000, (40, 80, 60)).astype(np.int16)
    volume = Volume(values, Geometry(values.shape, (1.5, 0.8, 0.8)))
    model, options = spec(classes, spacing_mm=spacing_mm), PredictOptions(region=region)
    told = forecast_for(volume.geometry, values.dtype, model, options)
    taken, plan = run(volume, model, options)
    # ITK's own copies are not Python's and tracemalloc does not see them
    hidden = 4 * (values.size + int(np.prod(plan.shape))) if spacing_mm else 0
    assert 0.95 * taken <= told.bytes_needed <= 1.5 * taken + hidden
    assert abs(told.windows - plan.count) <= (0 if region is None else plan.count // 2)


def test_five_classes_by_hand():
    # 100 x 64 x 64 int16, windows of 32 that step 16: 6 x 3 x 3, and along the longest axis 32 planes are held
    plan = plan_tiles((100, 64, 64), (32, 32, 32), 0.5)
    told = forecast(Need((100, 64, 64), np.int16, 1, (100, 64, 64), plan, 5, network=1000, uncertainty=True))
    voxels = 100 * 64 * 64
    assert told.windows == 6 * 3 * 3
    held, answers, rows = 5 * 4 * 32 * 64 * 64, 2 * 5 * 4 * 32**3, 4 * 5 * 4 * 64 * 64
    assert told.bytes_needed == 2 * voxels + 4 * voxels + held + answers + rows + 2 * voxels + 1000


def test_the_words_say_memory_windows_and_what_is_free(monkeypatch):
    monkeypatch.setattr(module, "free_bytes", lambda: 21_040_000_000)
    grid, large = Geometry((300, 512, 512), (1.0, 0.8, 0.8)), spec(25, (96, 96, 96))
    told = forecast_for(grid, np.int16, large, PredictOptions())
    # 25 classes x 96 planes of 300 x 512 held: 1.47 GB; scan 0.16, float32 0.31, answers 0.18, painted 0.16, and the
    # guess of the network 128 x 96^3 x 4: 0.45 GB
    assert told.words == "About 2.7 GB of memory, 600 windows; 21.0 GB are free."
    flips = replace(large, symmetric=(0, 2))
    words = forecast_for(grid, np.int16, flips, PredictOptions(flips=True, probabilities=True)).words
    assert "each mirrored 4 ways" in words and "Probabilities take 3.9 GB on disk." in words
    monkeypatch.setattr(module, "free_bytes", lambda: None)
    assert "free" not in forecast_for(grid, np.int16, large, PredictOptions()).words


def test_slices_of_a_2d_network_and_a_whole_picture():
    two = spec(2, (64, 64))
    assert forecast_for(Geometry((7, 64, 100)), np.uint8, two, PredictOptions()).windows == 7 * 3
    sagittal = forecast_for(
        Geometry((7, 64, 100), orientation_known=True), np.uint8, two, PredictOptions(slices="sagittal")
    )
    assert sagittal.windows == 100
    fitted = replace(two, task="classification", tile=(), divisor=1)
    fitted = replace(fitted, preparation=replace(fitted.preparation, steps=(("fit_shape", {"shape": (32, 32)}),)))
    told = forecast_for(Geometry.picture(400, 500), np.uint8, fitted, PredictOptions())
    assert told.windows == 1 and told.bytes_needed < 10e6


def test_what_the_run_would_refuse_is_refused_here_too():
    outside = PredictOptions(region=((0, 5), (0, 5), (0, 500)))
    with pytest.raises(InputError, match="region"):
        forecast_for(Geometry((20, 20, 20)), np.int16, spec(), outside)
    with pytest.raises(GeometryError):
        forecast_for(Geometry.picture(20, 20), np.int16, spec(spacing_mm=(1.0, 1.0, 1.0)), PredictOptions())
    with pytest.raises(InputError, match="slices"):
        forecast_for(Geometry((20, 20, 20)), np.int16, spec(), PredictOptions(slices="axial"))


def test_bytes_in_words_and_free_memory():
    assert [gigabytes(n) for n in (0, 240_400_000, 994_000_000, 3_140_000_000)] == [
        "1 MB",
        "240 MB",
        "994 MB",
        "3.1 GB",
    ]
    free = free_bytes()
    assert free is None or 1e6 < free < 1e14
