"""``python -m napari_medcnn.engine``: the process that holds the networks."""

from __future__ import annotations

from napari_medcnn.engine.handlers import make_handlers
from napari_medcnn.worker.server import serve

if __name__ == "__main__":
    serve(make_handlers())
