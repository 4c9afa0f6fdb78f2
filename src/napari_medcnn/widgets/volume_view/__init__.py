"""The 3D view: a small copy of the scan rendered as a volume, and surfaces of the classes of its mask."""
