from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fake_engine
from napari_medcnn.worker.client import Engine


@pytest.fixture
def make_engine() -> Iterator[Callable[..., Engine]]:
    """Return a function that makes fake engines; all are closed after the test."""
    made: list[Engine] = []

    def make(**options) -> Engine:
        made.append(Engine(fake_engine.launch(**options)))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def engine(make_engine) -> Engine:
    return make_engine()


@pytest.fixture
def orders(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes what is to go wrong."""

    def write(**told) -> Path:
        path = tmp_path / "orders.json"
        path.write_text(json.dumps(told))
        return path

    return write
