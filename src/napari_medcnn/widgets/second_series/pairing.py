"""What two open scans may be shown together, and what has to be said of it; words only, no window."""

from __future__ import annotations

from napari_medcnn.core.volume import Volume
from napari_medcnn.core.who import TWO_PATIENTS, Who, conflict, differing, same_space, unsure
from napari_medcnn.imaging.align import no_place

NOT_STATED = "Patient not stated in these files: make sure yourself that both are of the same person."
NO_SPACE_STATED = "These files do not state a common coordinate system; check that the pictures fit."
OTHER_SPACE = "These series do not share a coordinate system; alignment is not assured."


def fuse_refusal(first: Volume, second: Volume, whose: tuple[Who, Who]) -> str:
    """Return why two scans may not be laid over each other, "" if they may."""
    if conflict(*whose) == TWO_PATIENTS:
        return f"Two patients ({differing(*whose)} differ): their series are never fused. Look at them side by side."
    for scan in (first, second):
        reason = no_place(scan)
        if reason:
            return f"{scan.name} cannot be fused: {reason}. Look at both side by side."
    for scan in (first, second):
        if scan.channels > 1:
            return f"{scan.name} cannot be fused: it has colours or several channels. Look at both side by side."
    return ""


def link_refusal(whose: tuple[Who, Who]) -> str:
    """Return why two scans may not be linked, "" if they may."""
    if conflict(*whose) == TWO_PATIENTS:
        return f"Two patients ({differing(*whose)} differ): their series are never linked."
    return ""


def linked_by_position(first: Volume, second: Volume, whose: tuple[Who, Who]) -> bool:
    """Return True if two scans may be linked by the position in the patient without being asked."""
    placed = not no_place(first) and not no_place(second)
    return placed and not link_refusal(whose) and same_space(*whose) is not False


def remarks(first: Volume, second: Volume, whose: tuple[Who, Who]) -> list[str]:
    """Return what a reader has to know of two scans that are shown together."""
    said = []
    if conflict(*whose) != TWO_PATIENTS and unsure(*whose):
        said.append(NOT_STATED)
    if no_place(first) or no_place(second):
        return said
    shared = same_space(*whose)
    if shared is False:
        said.append(OTHER_SPACE)
    elif shared is None:
        said.append(NO_SPACE_STATED)
    return said
