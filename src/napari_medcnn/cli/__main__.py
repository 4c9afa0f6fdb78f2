"""``python -m napari_medcnn.cli`` does what ``medcnn`` does."""

from napari_medcnn.cli.main import main

raise SystemExit(main())
