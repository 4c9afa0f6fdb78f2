"""Pixels of one file as numbers, and planes as a volume."""
