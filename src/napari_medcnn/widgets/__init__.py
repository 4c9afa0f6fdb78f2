"""The dock and its tabs: the only package that imports Qt or napari."""
