"""The engines that `sliding_window.py` compares, each run in a process of its own."""
