"""Sets of keys to start from: ours, and those of two programs that many readers have in their fingers.

Only keys for which we have a function are taken over; what a set does not name keeps our key, and loses it where the
set gives that key to something else.  The mouse is the same in all of them: the wheel moves through slices in both
programs as here, and the right button stays brightness (both zoom with it; here that is Ctrl+wheel).

3D Slicer, as its manual says in "Mouse & Keyboard Shortcuts" (user guide, User Interface) and in "Keyboard shortcuts"
and "Paint" of its Segment Editor module (https://slicer.readthedocs.io, read in 2026):
Left and Right move through slices, Q and W choose the segment, Z and Y undo and redo, G shows and hides the
segmentation, - and + change the brush.  There, digits choose effects; here they stay classes.

ITK-SNAP 4, as its source says (itksnap, `GUI/Qt/Windows/MainImageWindow.cxx` and `.ui`,
`GUI/Qt/View/CrosshairsInteractionMode.cxx`): PageUp and PageDown move through slices, with Shift five at a time (ten
here), 4 is the paintbrush, comma and point choose the label, S shows and hides the segmentation, Ctrl+Shift+J resets
the contrast.  Digits choose tools there, so classes are Alt+digit.
"""

from __future__ import annotations

from types import MappingProxyType

OURS, SLICER, ITK_SNAP = "medcnn", "slicer", "itksnap"
#: Set -> what it is called.
NAMES = MappingProxyType({OURS: "MedCNN", SLICER: "3D Slicer", ITK_SNAP: "ITK-SNAP"})

#: Set -> name of a line of the table (`keymap.ids`) -> its key; "" takes the key away.
PRESETS = MappingProxyType(
    {
        OURS: MappingProxyType({}),
        SLICER: MappingProxyType(
            {
                "move -1": "Left",
                "move 1": "Right",
                "move_time -1": "Shift-Left",
                "move_time 1": "Shift-Right",
                "undo": "Z",
                "undo #2": "Control-Z",
                "redo": "Y",
                "why_here": "Shift-Y",
                "hide_overlays": "G",
                "toggle_views": "Shift-G",
                "brush -1": "-",
                "brush 1": "=",
            }
        ),
        ITK_SNAP: MappingProxyType(
            {
                "move -1": "PageUp",
                "move 1": "PageDown",
                "move -10": "Shift-PageUp",
                "move 10": "Shift-PageDown",
                "step_class -1": ",",
                "step_class 1": ".",
                "tool_paint": "4",
                **{f"pick_class {n}": f"Alt-{n}" for n in range(10)},
                "hide_overlays": "S",
                "swap_class": "Shift-X",
                "preset 0": "Control-Shift-J",
                "brush -1": "-",
                "brush 1": "=",
            }
        ),
    }
)
