"""Correcting masks and losing nothing: pure edits, our own undo, the stroke journal, and export to a dataset."""
