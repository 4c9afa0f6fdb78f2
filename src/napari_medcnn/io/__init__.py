"""Files in and out: sniffed, checked, read back; model packages; the dataset table; napari's hooks."""
