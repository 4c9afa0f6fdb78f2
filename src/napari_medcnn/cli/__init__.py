"""The command ``medcnn``: the same verbs as in the window, for a terminal.

Exit codes: 0 done; 1 a named problem with input, model or disk; 2 wrong usage; 130 interrupted.
"""

from napari_medcnn.cli.main import main, main_entry

__all__ = ["main", "main_entry"]
