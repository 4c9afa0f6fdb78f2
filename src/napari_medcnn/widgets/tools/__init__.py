"""The correction tools of `annotation.tools` in the window: one table, a form, a list to search, a menu of pieces."""
