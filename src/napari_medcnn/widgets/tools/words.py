"""What an edit changes, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_medcnn.annotation.edits import Edit


@dataclass(frozen=True)
class Change:
    """How many voxels each class wins (above 0) or loses, and in which slices (first and last, how many of them)."""

    by_class: tuple[tuple[int, int], ...]
    slices: int
    first: int
    last: int


def change_of(edit: Edit, axis: int) -> Change:
    """Count what an edit changes; slices are counted along `axis`."""
    changed = edit.before != edit.after
    if not changed.any():
        return Change((), 0, 0, 0)
    ids = np.arange(int(max(edit.before.max(initial=0), edit.after.max(initial=0))) + 1)
    won = np.bincount(edit.after[changed], minlength=len(ids))
    lost = np.bincount(edit.before[changed], minlength=len(ids))
    net = won.astype(np.int64) - lost
    touched = np.flatnonzero(changed.any(axis=tuple(a for a in range(3) if a != axis)))
    start = edit.box[axis].start
    by_class = tuple((int(i), int(net[i])) for i in ids if i and (won[i] or lost[i]))
    return Change(by_class, len(touched), start + int(touched[0]), start + int(touched[-1]))


def made_words(tool: str, change: Change, name: Callable[[int], str], much: Callable[[int], str], picture: bool) -> str:
    """Return "Fill between slices: 3 slices, 1.2 ml more of Left hippocampus"."""
    parts = [f"{much(abs(n))} {'more' if n > 0 else 'less'} of {name(i)}" for i, n in change.by_class if n]
    parts += [f"{name(i)} moved" for i, n in change.by_class if not n]
    if not picture:
        parts.insert(0, "1 slice" if change.slices == 1 else f"{change.slices} slices")
    return f"{tool}: {', '.join(parts)}"


def preview_words(
    change: Change, counts: dict[int, int], name: Callable[[int], str], much: Callable[[int], str], picture: bool
) -> str:
    """Return a line for each class, before and after, and where the change lies; slices are counted from 1.

    Voxels are said beside ml alone: where `much` counts pixels or voxels they would be said twice.
    """
    lines = []
    for label_id, n in change.by_class:
        before = counts.get(label_id, 0)
        after = before + n
        voxels = f"{before:,} \N{RIGHTWARDS ARROW} {after:,} voxels".replace(",", " ")
        amounts = f"{much(before)} \N{RIGHTWARDS ARROW} {much(after)}"
        counted = amounts.endswith(("voxels", "px"))
        lines.append(f"{name(label_id)}: " + (amounts if counted else f"{voxels}, {amounts}"))
    if not picture:
        where = f"slice {change.first + 1}" if change.slices == 1 else f"slices {change.first + 1} to {change.last + 1}"
        lines.append(f"Changes {where}")
    return "\n".join(lines)
