"""The manifest is valid, says what exists, and claims no more than we agreed."""

from __future__ import annotations

import importlib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from npe2 import PluginManifest

from cases import REPOSITORY

MANIFEST = REPOSITORY / "src" / "napari_medcnn" / "napari.yaml"


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(MANIFEST)


def test_every_command_can_be_imported(manifest: PluginManifest) -> None:
    manifest.validate_imports()
    for command in manifest.contributions.commands:
        module, _, name = str(command.python_name).partition(":")
        assert callable(getattr(importlib.import_module(module), name)), command.id


def test_name_is_the_distributions(manifest: PluginManifest) -> None:
    assert manifest.name == "napari-medcnn"
    assert all(c.id.startswith("napari-medcnn.") for c in manifest.contributions.commands)


@pytest.mark.parametrize(
    ("name", "claimed"),
    [
        ("scan.nii", True), ("scan.nii.gz", True), ("mask.seg.nrrd", True), ("head.nhdr", True), ("a.mha", True),
        ("a.mhd", True), ("im1.dcm", True), ("photo.png", False), ("photo.jpg", False), ("cells.tif", False),
        ("cells.tiff", False), ("stack.bmp", False), ("table.csv", False), ("archive.zip", False),
    ],
)  # fmt: skip
def test_patterns_claim_scans_and_leave_pictures_to_napari(manifest: PluginManifest, name: str, claimed: bool) -> None:
    (reader,) = manifest.contributions.readers
    assert any(fnmatch(name, pattern) for pattern in reader.filename_patterns) is claimed
    assert reader.accepts_directories


def test_one_dock(manifest: PluginManifest) -> None:
    (widget,) = manifest.contributions.widgets
    assert (widget.display_name, widget.command) == ("MedCNN", "napari-medcnn.dock")


def test_preferences_have_words_and_defaults(manifest: PluginManifest) -> None:
    sections = {key: c.properties for key, c in manifest.contributions.configurations.items()}
    engine, viewing = sections["engine"], sections["viewing"]
    assert set(engine) == {"interpreter", "environment", "device", "idle_minutes", "model_folder"}
    assert engine["device"].enum == ["auto", "cpu", "gpu"]
    assert viewing["wheel_mode"].enum == ["slice", "zoom"]
    assert (viewing["open_four"].type, viewing["open_four"].default) == ("boolean", False)
    for properties in sections.values():
        for value in properties.values():
            assert value.title and value.description and value.default is not None


def test_napari_offers_the_preferences(manifest: PluginManifest, npe2pm, plugin_settings) -> None:
    from napari.settings import get_plugin_settings

    npe2pm.register(manifest)
    settings = get_plugin_settings("napari-medcnn")
    assert settings.engine.device == "auto"
    assert settings.engine.idle_minutes == 30
    assert settings.viewing.wheel_mode == "slice"


def test_manifest_lies_in_the_package() -> None:
    assert MANIFEST.is_file() and not Path(MANIFEST).is_symlink()
