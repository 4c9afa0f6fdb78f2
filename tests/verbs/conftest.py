"""One fake engine for all tests of verbs, and the packages it knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_medcnn.worker.client import Engine


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    import fake_engine

    lent = Engine(fake_engine.launch())
    yield lent
    lent.close()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_packages import package, segmenter

    return package(tmp_path_factory.mktemp("packages"), segmenter())


@pytest.fixture(scope="session")
def photo_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_packages import package, segmenter

    return package(tmp_path_factory.mktemp("packages"), segmenter("tiny-photo", 2, 3))


@pytest.fixture(scope="session")
def class_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_packages import classifier, package

    return package(tmp_path_factory.mktemp("packages"), classifier())
