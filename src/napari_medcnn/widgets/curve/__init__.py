"""Curves over time points, echoes and b-values in the strip."""
