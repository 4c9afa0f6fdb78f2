"""The test house itself: nobody's own settings are touched, and a window left behind is noticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def test_private_folders_are_not_the_users() -> None:
    for name in ("MEDCNN_HOME", "KERAS_HOME", "NAPARI_CONFIG", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        assert "medcnn-tests-" in os.environ[name]

    from napari.settings import get_settings

    from napari_medcnn.core import paths

    assert Path(get_settings().config_path).is_relative_to(Path(os.environ["NAPARI_CONFIG"]).parent)
    assert paths.home() == Path(os.environ["MEDCNN_HOME"])


def test_absent_real_data_skips_by_name(shared_data) -> None:
    with pytest.raises(pytest.skip.Exception, match="no-such-data"):
        shared_data("no-such-data")
