"""How a model is run: region, engine, maps, channels, all open images; real clicks, no network."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.errors import InputError
from napari_medcnn.widgets.open_scans import guess
from napari_medcnn.widgets.region import box_around
from tiny_packages import AFFINE, bright_xyz, nifti, package, segmenter

pytestmark = [pytest.mark.gui, pytest.mark.own_window]  # it adds models, and folds options


@pytest.fixture
def lab(desk):
    """A dock on its AI tab, wide options open."""
    desk.dock.tabs.setCurrentIndex(1)
    return desk


def opened(desk, path: Path) -> None:
    desk.dock.open_path(path)
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.dock.tabs.setCurrentIndex(1)
    desk.idle(0.05)


def ready(desk, model: str) -> None:
    desk.until(lambda: desk.dock.ai.choose(model))
    desk.until(lambda: desk.dock.ai.run.isEnabled())


def choose(box, data) -> None:
    """Choose an entry of a combo box with the keyboard."""
    box.setFocus()
    index = box.findData(data)
    assert index >= 0
    QTest.keyClick(box, Qt.Key.Key_Home)
    for _ in range(index):
        QTest.keyClick(box, Qt.Key.Key_Down)
    assert box.currentIndex() == index


def finish(desk) -> None:
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.05)


# ---- region ----------------------------------------------------------------------------------------------------------


def test_box_of_the_display_becomes_the_same_voxels_of_a_flipped_permuted_file() -> None:
    grid = Geometry.from_affine((9, 8, 7), np.diag([-1.0, -1, 1, 1]) @ AFFINE)
    how = grid.reorientation_to()
    assert how.order != (0, 1, 2) and any(how.flips), "the test needs a scan that is turned for display"
    shown_shape = grid.reoriented(how).shape
    corners = np.array([[2.0, 1.2, 3.4], [2.0, 4.4, 5.6]])  # one slice: through all of them
    region = box_around(corners, grid, how)
    shown = np.zeros(shown_shape, bool)
    shown[:, 1:5, 3:7] = True
    source = np.zeros(grid.shape, bool)
    source[tuple(slice(*span) for span in region.source)] = True
    np.testing.assert_array_equal(how.apply(source), shown)
    z, y, x = grid.reoriented(how).spacing_mm
    assert region.words == f"{4 * x:.3g} x {4 * y:.3g} mm, all slices"
    two = box_around(np.array([[2.0, 1, 3], [4.0, 4, 5]]), grid, how)
    assert two.shown[0] == (2, 5) and two.words.endswith(f"slices 3 to 5 of {shown_shape[0]} ({3 * z:.3g} mm)")


def test_region_beside_the_scan_is_refused() -> None:
    grid = Geometry((4, 5, 6))
    how = grid.reorientation_to()
    with pytest.raises(InputError, match="lies beside the scan"):
        box_around(np.array([[0.0, 0, 20], [0.0, 3, 30]]), grid, how)
    assert box_around(np.array([[np.nan, 1, 1], [np.nan, 2, 2]]), grid, how).shown == ((0, 4), (1, 3), (1, 3))


def test_run_inside_a_drawn_region_on_a_flipped_scan(lab, tmp_path: Path) -> None:
    path = nifti(tmp_path / "turned.nii.gz", (40, 30, 36))
    opened(lab, path)
    ready(lab, "tiny-mask")
    ai = lab.dock.ai
    lab.click(ai.options.fold)
    lab.click(ai.options.draw)
    assert not ai.run.isEnabled() and "Draw a rectangle" in ai.options.region_words.text()
    x, y = lab.centre()
    lab.drag((x - 40, y - 30), (x + 30, y + 50))
    lab.until(lambda: "all slices" in ai.options.region_words.text() and ai.run.isEnabled())
    corners = np.array(lab.dock.layers.region.data[0])[:, -3:]
    low, high = np.rint(corners.min(axis=0)).astype(int), np.rint(corners.max(axis=0)).astype(int)
    lab.click(ai.run)
    finish(lab)
    shape = lab.dock.layers.scan.data.shape
    mask = lab.dock.layers.mask.data
    inside = np.zeros(shape, bool)
    box = [slice(None) if a == b else slice(max(0, a), b + 1) for a, b in zip(low, high, strict=True)]
    assert box.count(slice(None)) == 1  # thick slices are shown in the plane they were taken in
    inside[tuple(box)] = True
    assert 0 < inside.sum() < inside.size * 0.9
    how = lab.dock.layers.scan.metadata["medcnn"]["how"]
    bright = how.apply(bright_xyz(path).T)
    np.testing.assert_array_equal(mask == 2, bright & inside)
    assert not lab.dock.layers.is_drawing and "region" in lab.dock.running.as_python()


def test_drawing_ends_with_escape_and_nothing_is_drawn_any_more(lab) -> None:
    lab.open("phantom")
    lab.dock.tabs.setCurrentIndex(1)
    ready(lab, "tiny-mask")
    options = lab.dock.ai.options
    lab.click(options.fold)
    lab.click(options.draw)
    assert options.draw.text() == "Done"
    lab.key(Qt.Key.Key_Escape)
    assert options.draw.text() == "Draw" and not lab.dock.layers.is_drawing
    x, y = lab.centre()
    lab.drag((x - 40, y - 30), (x + 30, y + 50))
    assert len(lab.dock.layers.region.data) == 0


# ---- engine, maps, words ---------------------------------------------------------------------------------------------


def test_engine_switch_reaches_the_engine_and_the_result_line(lab, monkeypatch) -> None:
    monkeypatch.setattr(type(lab.dock.link), "missing_engines", lambda self: {"onnx": "Not installed; type this"})
    lab.dock.ai.options.show_engines(lab.dock.link.missing_engines())
    lab.open("phantom")
    lab.dock.tabs.setCurrentIndex(1)
    ready(lab, "tiny-mask")
    options = lab.dock.ai.options
    lab.click(options.fold)
    item = options.engine.model().item(options.engine.findData("onnx"))
    assert not item.isEnabled() and "Not installed" in item.toolTip()
    options.engine.setCurrentIndex(options.engine.findData("openvino"))
    lab.click(options.fold)
    assert options.fold.text() == "Options: OpenVINO"
    lab.run("tiny-mask")
    result = lab.dock.session.result
    assert result.provenance.options["engine"] == "openvino"
    assert lab.dock.ai.result.made.text().startswith("CPU, OpenVINO 2026.4")
    assert "OpenVINO" in lab.dock.ai.result.made.text()


def test_maps_are_hidden_or_shown_as_groups_and_go_with_the_mask(lab) -> None:
    lab.open("phantom")
    lab.dock.tabs.setCurrentIndex(1)
    ready(lab, "tiny-mask")
    ai = lab.dock.ai
    lab.click(ai.options.fold)
    choose(ai.options.doubt, "entropy")
    ai.options.probabilities.setChecked(True)
    lab.click(ai.run)
    finish(lab)
    layers = {layer.name: layer for layer in lab.viewer.layers}
    doubt, chance = layers["Uncertainty"], layers["Probability: bright"]
    assert doubt.visible and not chance.visible and doubt.locked
    assert chance.data[3].dtype == np.float32 and chance.contrast_limits == [0.0, 1.0]
    np.testing.assert_allclose(np.unique(chance.data[10]), [0.1, 0.9], atol=1e-3)
    np.testing.assert_array_equal(doubt.data == 20, lab.dock.layers.mask.data == 2)
    lab.click(ai.result.probabilities)
    lab.click(ai.result.doubt)
    lab.idle(0.1)
    assert chance.visible and not doubt.visible
    assert "mean probability" in ai.result.score_words.text()
    lab.run("tiny-class")
    lab.dock.session.close_mask(keep=False)
    assert {"Uncertainty", "Probability: bright"}.isdisjoint(layer.name for layer in lab.viewer.layers)


def test_forecast_is_said_before_the_run_and_in_red_words_where_it_is_too_much(lab, monkeypatch) -> None:
    from napari_medcnn.widgets import run_jobs

    lab.open("phantom")
    lab.dock.tabs.setCurrentIndex(1)
    ready(lab, "tiny-mask")
    ai = lab.dock.ai
    lab.until(lambda: "memory" in ai.forecast.text() and "windows" in ai.forecast.text())
    assert ai.forecast.styleSheet() == ""
    monkeypatch.setattr(run_jobs, "free_bytes", lambda: 1000)
    lab.dock.running.check()
    lab.until(lambda: ai.forecast.text().startswith("!") and "color" in ai.forecast.styleSheet())
    assert ai.run.isEnabled(), "the forecast warns, it does not forbid"


def test_out_of_memory_is_said_in_words_and_the_next_run_works(lab) -> None:
    lab.open("phantom")
    lab.order(oom=True)
    lab.run("tiny-mask")
    ai = lab.dock.ai
    assert "memory" in ai.error.text().lower() and "Traceback" not in ai.error.text()
    assert lab.dock.layers.mask is None
    lab.order(warnings=["There was not enough memory for windows of 64; 32 were used."])
    lab.run("tiny-mask")
    assert lab.dock.layers.mask is not None and "windows of 64" in ai.result.warnings.text()
    assert ai.result.warnings.isVisible()


def test_options_that_a_model_cannot_do_are_not_offered(lab, model_folder) -> None:
    package(model_folder, segmenter("tiny-even", symmetric=(0, 1, 2), title="Same on all sides"))
    lab.dock.running.find_models()
    finish(lab)
    lab.open("phantom")
    lab.dock.tabs.setCurrentIndex(1)
    ready(lab, "tiny-mask")
    options = lab.dock.ai.options
    lab.click(options.fold)
    assert not options.flips.isVisible() and not options.slices.isVisible() and options.coarse.isVisible()
    variance = options.doubt.findData("variance")
    assert not options.doubt.model().item(variance).isEnabled()
    ready(lab, "tiny-even")
    assert options.flips.isVisible() and options.doubt.model().item(variance).isEnabled()
    choose(options.doubt, "variance")
    assert options.flips.isChecked() and not options.flips.isEnabled()
    lab.run("tiny-even")
    assert lab.dock.ai.error.text() == ""
    made = lab.dock.session.result.provenance.options
    assert made["flips"] and made["uncertainty_kind"] == "variance"
    lab.dock.ai.choose("tiny-class")
    assert not options.doubt.isVisible() and not options.probabilities.isVisible()


# ---- several scans ---------------------------------------------------------------------------------------------------


def test_channels_are_guessed_by_whole_words_first() -> None:
    assert guess(("T1", "T1ce", "FLAIR"), ["p_t1ce", "p_flair", "p_t1"]) == [2, 0, 1]
    assert guess(("Channel 1", "Channel 2"), ["a", "b", "c"], first=1) == [1, 0]
    assert guess(("T1", "T2"), ["only"]) == [0, -1]


def test_two_scans_become_the_channels_of_one_model(lab, model_folder, tmp_path: Path) -> None:
    from dataclasses import replace

    spec = segmenter("tiny-pair", 3, 2, title="Two scans")
    package(model_folder, replace(spec, preparation=replace(spec.preparation, channel_names=("FLAIR", "T1"))))
    t1 = nifti(tmp_path / "case_t1.nii.gz", (12, 10, 8), seed=1)
    flair = nifti(tmp_path / "case_flair.nii.gz", (12, 10, 8), seed=2)
    lab.dock.running.find_models()
    finish(lab)
    lab.dock.open_paths([t1, flair])
    lab.until(lambda: len(lab.dock.session.beside) == 1 and not lab.dock.tasks.names())
    lab.dock.tabs.setCurrentIndex(1)
    ready(lab, "tiny-pair")
    ai = lab.dock.ai
    assert [box.currentText() for box in ai.channels.boxes] == ["case_flair", "case_t1"]
    lab.until(lambda: "2, one open scan each" in ai.fit.text())
    assert not ai.run_all.isVisible()
    ai.channels.boxes[0].setCurrentIndex(1)  # the same scan twice
    lab.until(lambda: not ai.run.isEnabled())
    assert "chosen twice" in ai.channels.words.text()
    ai.channels.boxes[0].setCurrentIndex(2)
    ready(lab, "tiny-pair")
    lab.click(ai.run)
    finish(lab)
    pair = [np.asarray(nibabel.load(p).dataobj, np.float64) for p in (flair, t1)]
    mean = (pair[0] + pair[1]) / 2
    how = lab.dock.layers.scan.metadata["medcnn"]["how"]
    np.testing.assert_array_equal(lab.dock.layers.mask.data == 2, how.apply((mean > mean.mean()).T))
    assert lab.dock.session.result.provenance.input["axes"] == "zyxc"


def test_one_model_on_all_open_images(lab, tmp_path: Path) -> None:
    paths = [nifti(tmp_path / f"case{i}.nii.gz", (12, 10, 8 + i), seed=i) for i in range(2)]
    lab.dock.open_paths(paths)
    lab.until(lambda: len(lab.dock.session.beside) == 1 and not lab.dock.tasks.names())
    theirs = np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8)
    lab.viewer.add_image(theirs, name="theirs", scale=(2, 1, 1), translate=(5, 6, 7), units=("mm",) * 3)
    lab.viewer.add_image(np.zeros((2, 5, 6, 7)), name="too many axes", units=("pixel", "mm", "mm", "mm"))
    lab.dock.tabs.setCurrentIndex(1)
    ready(lab, "tiny-mask")
    ai = lab.dock.ai
    lab.until(lambda: ai.run_all.isVisible())
    lab.click(ai.run_all)
    finish(lab)
    words = ai.all_done.text().splitlines()
    assert words[0] == "case0: found bright" and words[1] == "case1: found bright"
    assert words[2] == "theirs: found bright" and words[3].startswith("too many axes: left out: expected a picture")
    assert words[4] == "3 of 4 done."
    how = lab.dock.layers.scan.metadata["medcnn"]["how"]
    np.testing.assert_array_equal(lab.dock.layers.mask.data == 2, how.apply(bright_xyz(paths[0]).T))
    layer = next(x for x in lab.viewer.layers if x.name.endswith(": theirs"))
    np.testing.assert_array_equal(layer.data == 2, theirs > theirs.mean())
    np.testing.assert_allclose(layer.translate, (5, 6, 7))
    (tmp_path / "out").mkdir()
    lab.dock.running.all.save(tmp_path / "out")
    lab.until(lambda: "masks saved" in ai.all_done.text())
    stored = np.asarray(nibabel.load(tmp_path / "out" / "case1-mask.nii.gz").dataobj)
    np.testing.assert_array_equal(stored == 2, bright_xyz(paths[1]))
    for name in ("theirs", "too many axes"):
        lab.viewer.layers.remove(name)


def test_run_on_all_stops_and_keeps_what_was_done(lab, tmp_path: Path) -> None:
    paths = [nifti(tmp_path / f"case{i}.nii.gz", (12, 10, 8), seed=i) for i in range(3)]
    lab.dock.open_paths(paths)
    lab.until(lambda: len(lab.dock.session.beside) == 2 and not lab.dock.tasks.names())
    lab.dock.tabs.setCurrentIndex(1)
    ready(lab, "tiny-mask")
    ai = lab.dock.ai
    lab.order(slow=1)
    lab.click(ai.run_all)
    lab.until(lambda: ai.all_done.text().startswith("case0"))
    lab.until(lambda: "2 of 3" in ai.doing.text())
    lab.click(lab.dock.header.cancel)
    finish(lab)
    assert ai.all_done.text().splitlines()[-1] == "Stopped; 1 were done before."
    assert lab.dock.layers.mask is not None and not ai.cancel.isVisible()


def test_pictures_go_on_after_maps_and_mask_were_taken_away(lab) -> None:
    """Software OpenGL ended the process at the second picture: see `drawing_guard`."""
    test_maps_are_hidden_or_shown_as_groups_and_go_with_the_mask(lab)
    for _ in range(4):
        lab.native.update()
        lab.idle(0.1)
    assert len(lab.viewer.layers) == 1
