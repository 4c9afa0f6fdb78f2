"""Row 62: a system that writes numbers with a comma changes nothing in what we read and write."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WORK = """
import locale, sys
from pathlib import Path
import numpy as np
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.io.read import read_volume
from napari_medcnn.io.save import save_volume

locale.setlocale(locale.LC_ALL, "")  # as a Qt application does on its start
if locale.localeconv()["decimal_point"] != ",":
    sys.exit(7)
folder = Path(sys.argv[1])
grid = Geometry((3, 4, 5), (2.5, 0.8, 0.7), (0.5, -1.25, 7.75))
volume = Volume(np.arange(60, dtype=np.int16).reshape(3, 4, 5), grid)
for suffix in (".nii.gz", ".nrrd", ".mha"):
    save_volume(volume, folder / f"a{suffix}")
    back = read_volume(folder / f"a{suffix}")
    np.testing.assert_allclose(back.geometry.affine_lps, volume.geometry.affine_lps, atol=1e-6)
    np.testing.assert_array_equal(back.array, volume.array)
for suffix in (".nrrd", ".mha"):
    text = (folder / f"a{suffix}").read_bytes()[:600].decode("latin-1")
    if "2.5" not in text or "2,5" in text:
        sys.exit(8)
"""


def comma_locale(folder: Path) -> dict[str, str]:
    """Return the environment of a German system, made with localedef where none is installed."""
    if sys.platform != "linux" or shutil.which("localedef") is None:
        pytest.skip("no localedef to make a locale with a decimal comma")
    made = subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")], capture_output=True, check=False
    )
    if not (folder / "de_DE.UTF-8").is_dir():
        pytest.skip(f"the sources of a locale with a decimal comma are not installed ({made.returncode})")
    return {"LOCPATH": str(folder), "LC_ALL": "de_DE.UTF-8"}


def test_row_62_a_decimal_comma_of_the_system_changes_nothing(tmp_path: Path) -> None:
    environment = os.environ | comma_locale(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    if done.returncode == 7:
        pytest.skip("this C library did not take the locale")
    assert done.returncode == 0, done.stderr
