"""Linked views of one scan in the canvas area: panes, what they mirror, and what is drawn over them."""
