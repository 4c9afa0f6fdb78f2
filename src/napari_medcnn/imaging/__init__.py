"""Preprocessing and its way back, shared by training, prediction and explanation."""
