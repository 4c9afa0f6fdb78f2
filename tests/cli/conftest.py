"""The command line in this process, with the fake engine behind it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from napari_medcnn.cli import main
from napari_medcnn.verbs import engines
from napari_medcnn.worker.client import Engine


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)  # fails if anything else stands on stdout


@pytest.fixture(scope="session")
def fake() -> Iterator[Engine]:
    import fake_engine

    lent = Engine(fake_engine.launch())
    yield lent
    lent.close()


@pytest.fixture
def medcnn(fake: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    @contextmanager
    def lend() -> Iterator[Engine]:
        yield fake

    monkeypatch.setattr(engines, "engine", lend)

    def run(*words: str | Path) -> Ran:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_packages import package, segmenter

    return package(tmp_path_factory.mktemp("packages"), segmenter())


@pytest.fixture(scope="session")
def class_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_packages import classifier, package

    return package(tmp_path_factory.mktemp("packages"), classifier())
