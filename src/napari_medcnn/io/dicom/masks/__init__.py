"""Segmentations and contours: frames and polygons as masks on a grid."""
