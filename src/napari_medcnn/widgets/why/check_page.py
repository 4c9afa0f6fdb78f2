"""The page "Check" of the strip: what the check found, as curves."""

from __future__ import annotations

import numpy as np
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_medcnn.core.curves import Curve as Line
from napari_medcnn.core.saliency import Curve, SaliencyMap
from napari_medcnn.widgets.curve.plot import CurvePlot
from napari_medcnn.widgets.parts import GAP, Elided, as_tip
from napari_medcnn.widgets.why.wording import badge_words, name_of

NOTHING = "Check this map, in the AI tab, fills these curves."
_TITLES = (
    "Network made random, layer by layer: should fall",
    "Best voxels put back first: should rise early",
    "Best voxels taken away first: should fall early",
)
#: The same as a researcher calls it.
_TIPS = (
    "Cascading randomisation of the network's parameters from its output on. Same order: rank correlation of the map "
    "with the first one. Same pattern: SSIM of both.",
    "Insertion: the score while voxels come back into a blurred scan, those with the highest values first, or in a "
    "random order. The numbers are the areas under the curves.",
    "Deletion: the score while voxels are blurred, those with the highest values first, or in a random order. The "
    "numbers are the areas under the curves.",
)


class CheckPage(QWidget):
    """Three plots side by side: cascade, insertion, deletion."""

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP, 0, GAP, 2)
        layout.setSpacing(0)
        self.said = Elided(NOTHING)
        layout.addWidget(self.said)
        plots = QHBoxLayout()
        plots.setSpacing(GAP)
        self.plots: list[CurvePlot] = []
        for title, tip in zip(_TITLES, _TIPS, strict=True):
            one = QVBoxLayout()
            one.setSpacing(0)
            one.addWidget(Elided(title))
            plot = CurvePlot()
            plot.setMinimumHeight(50)
            plot.setAccessibleName(title)
            plot.setToolTip(as_tip(tip))
            self.plots.append(plot)
            one.addWidget(plot, 1)
            plots.addLayout(one, 1)
        layout.addLayout(plots, 1)

    def show_check(self, made: SaliencyMap | None) -> None:
        """Show the check of a map; hints where there is none."""
        check = None if made is None else made.check
        if made is None or check is None:
            self.said.show_text(NOTHING)
            for plot in self.plots:
                plot.show_curves((), None, "not checked" if made is not None else "no map")
            return
        self.said.show_text(f"{name_of(made)} · {badge_words(made)}")
        self.said.setToolTip(as_tip(check.words))
        steps = np.arange(1.0, len(check.cascade) + 1)
        lines = [
            Line("same order", steps, np.array([step.rank for step in check.cascade]), "layers replaced", "likeness"),
            Line(
                "same pattern",
                steps,
                np.array([step.similarity for step in check.cascade]),
                "layers replaced",
                "likeness",
            ),
        ]
        self.plots[0].show_curves(list(enumerate(lines)) if check.cascade else [], None, "There is nothing to replace")
        for plot, curve in zip(self.plots[1:], (check.insertion, check.deletion), strict=True):
            plot.show_curves(_lines(curve), None, "The score could not be followed")


def _lines(curve: Curve | None) -> list[tuple[int, Line]]:
    if curve is None:
        return []
    share = 100 * np.array(curve.share)
    return [
        (0, Line(f"map {_short(curve.area)}", share, np.array(curve.score), "% of voxels", "score")),
        (1, Line(f"chance {_short(curve.random_area)}", share, np.array(curve.random), "% of voxels", "score")),
    ]


def _short(area: float) -> str:
    """Return a number that fits beside its curve: three digits, and never a power of ten for thousands."""
    return f"{area:.0f}" if 1000 <= abs(area) < 1e6 else f"{area:.3g}"
