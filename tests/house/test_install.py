"""Wheel, editable and sdist -> wheel installs all carry the manifest, and napari's registry finds it there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from cases import REPOSITORY

COPIED = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "constraints.txt", ".gitignore")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what the build reads, so that nothing is written into this checkout."""
    root = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        if (REPOSITORY / name).exists():
            shutil.copy(REPOSITORY / name, root / name)
    shutil.copytree(REPOSITORY / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    os.symlink("src/napari_medcnn/napari.yaml", root / "napari.yaml")
    return root


def build(kind: str, source: Path, out: Path) -> Path:
    code = f"import sys, hatchling.build as b; print(b.build_{kind}(sys.argv[1]))"
    out.mkdir(exist_ok=True, parents=True)
    ran = subprocess.run(
        [sys.executable, "-c", code, str(out)], cwd=source, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return out / ran.stdout.strip().splitlines()[-1]


def manifest_seen_by_npe2(site: Path) -> str:
    """Return the manifest's path that npe2 finds when ``site`` is the site folder that comes first."""
    code = (
        "import sys, site\n"
        f"before = list(sys.path); site.addsitedir({str(site)!r})\n"
        "sys.path[:] = [p for p in sys.path if p not in before] + before\n"
        "from npe2 import PluginManifest\n"
        "import napari_medcnn, pathlib\n"
        "m = PluginManifest.from_distribution('napari-medcnn')\n"
        "names = [c.id for c in m.contributions.commands]\n"
        "print(len(names), pathlib.Path(napari_medcnn.__file__).parent, m.package_version)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    count, folder, version = ran.stdout.strip().splitlines()[-1].split(" ")
    assert int(count) >= 6
    assert version == "0.1.0"
    return folder


def unpack(wheel: Path, site: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def test_wheel(checkout: Path, tmp_path: Path) -> None:
    site = unpack(build("wheel", checkout, tmp_path / "dist"), tmp_path / "site")
    assert manifest_seen_by_npe2(site) == str(site / "napari_medcnn")
    assert (site / "napari_medcnn" / "py.typed").exists()
    # What ships: every file of the package, the models among them, and nothing else.
    shipped = {
        p.relative_to(site / "napari_medcnn").as_posix() for p in (site / "napari_medcnn").rglob("*") if p.is_file()
    }
    package = checkout / "src" / "napari_medcnn"
    assert shipped == {p.relative_to(package).as_posix() for p in package.rglob("*") if p.is_file()}


def test_editable(checkout: Path, tmp_path: Path) -> None:
    site = unpack(build("editable", checkout, tmp_path / "dist"), tmp_path / "site")
    assert manifest_seen_by_npe2(site) == str(checkout / "src" / "napari_medcnn")


def test_sdist_to_wheel(checkout: Path, tmp_path: Path) -> None:
    sdist = build("sdist", checkout, tmp_path / "dist")
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
        archive.extractall(tmp_path / "unpacked", filter="data")
    root = tmp_path / "unpacked" / names[0].split("/")[0]
    assert (root / "napari.yaml").is_symlink() or (root / "napari.yaml").read_bytes() == (
        root / "src" / "napari_medcnn" / "napari.yaml"
    ).read_bytes()
    site = unpack(build("wheel", root, tmp_path / "dist2"), tmp_path / "site")
    assert manifest_seen_by_npe2(site) == str(site / "napari_medcnn")


def test_root_manifest_is_a_link_to_the_real_one() -> None:
    link = REPOSITORY / "napari.yaml"
    real = REPOSITORY / "src" / "napari_medcnn" / "napari.yaml"
    if link.is_symlink():
        assert link.readlink().as_posix() == "src/napari_medcnn/napari.yaml"
        assert link.read_bytes() == real.read_bytes()
    else:  # a system without symbolic links: git writes the target as text, and nobody loads it
        assert link.read_text().strip() == "src/napari_medcnn/napari.yaml"
    assert not real.is_symlink()
