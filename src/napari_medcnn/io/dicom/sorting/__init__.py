"""Sorting one series: what belongs together, where it lies, and when."""
