"""The only package that imports Keras; started as a process by name, never imported by the others."""
