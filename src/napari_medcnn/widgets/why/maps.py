"""The maps of the open scan: one layer that shows one of them, and how it looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari_medcnn.core.saliency import CAUTION, SaliencyMap
from napari_medcnn.widgets import layer_parts
from napari_medcnn.widgets.layers import WHY, Layers
from napari_medcnn.widgets.views.corners import Line, line
from napari_medcnn.widgets.views.sheet import YELLOW
from napari_medcnn.widgets.why.colours import colormap
from napari_medcnn.widgets.why.legend import Legend
from napari_medcnn.widgets.why.why_jobs import Explained
from napari_medcnn.widgets.why.wording import badge_words, is_muted, method_words, name_of

#: As many maps are kept of one scan; the oldest goes.
MOST = 6
#: Unchecked and failing maps are drawn with this share of the opacity that was chosen.
MUTED = 0.5


@dataclass(frozen=True)
class Look:
    """How a map is drawn: name of its colours, opacity and below which share of the largest value it is clear."""

    colour: str
    share: float
    hidden: float


@dataclass(eq=False)
class ShownMap:
    """One map: what was asked, the map as it is now (with its check, if any), and what its colours mean."""

    explained: Explained
    made: SaliencyMap
    legend: Legend | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return name_of(self.made)

    def opacity(self, look: Look) -> float:
        """Return how opaque it is drawn; one that nobody should lean on faintly."""
        return look.share * (MUTED if is_muted(self.made) else 1.0)

    def paint(self, layer: Any, look: Look) -> None:
        """Show it in a layer of any view in these colours; what is so already draws nothing."""
        wanted = self.opacity(look)
        if layer.opacity != wanted:
            layer.opacity = wanted
        painted = colormap(look.colour, self.made.signed, look.hidden)
        if layer.colormap.name != painted.name:
            layer.colormap = painted


class Maps:
    """Keeps the layer and the list in step.

    One layer shows whichever map is chosen: a new one costs napari 100 ms of the window's time in each view, to write
    into it a tenth of that.

    Parameters
    ----------
    layers
        Where maps are laid over the scan.
    toggled
        Called when the map was shown or hidden, by whatever (a key is held, the list of layers).
    """

    def __init__(self, layers: Layers, toggled: Callable[[], None]) -> None:
        self._layers, self._toggled = layers, toggled
        self.layer: Any = None
        self._held: ShownMap | None = None
        self._quiet = False
        self.all: list[ShownMap] = []
        self.current: ShownMap | None = None
        #: False while the user has switched the map off.
        self.visible = True

    @property
    def seen(self) -> ShownMap | None:
        """The map that is seen now."""
        return self.current if self.layer is not None and self.layer.visible else None

    @property
    def index(self) -> int:
        """Place of the current map in the list, -1 without one."""
        return next((i for i, each in enumerate(self.all) if each is self.current), -1)

    @property
    def names(self) -> list[str]:
        """What the maps are called, with a number where two are called the same."""
        names = [each.name for each in self.all]
        return [f"{n} ({names[: i + 1].count(n)})" if names.count(n) > 1 else n for i, n in enumerate(names)]

    def add(self, explained: Explained) -> ShownMap:
        """Lay a map over the scan, not seen yet: a new layer is as much as the window does in one go."""
        made = ShownMap(explained, explained.made)
        if self.layer is not None and not layer_parts.fits(self.layer, explained.layer):
            self._discard()
        if self.layer is None:
            self._begin(made)
        self.all.append(made)
        return made

    def bring_in(self, made: ShownMap) -> None:
        """Show a map that was added; one that answered the same question goes, and the oldest of too many."""
        self.visible = True
        self.choose(made)
        for each in [x for x in self.all if x is not made and self._is_same(x.explained, made.explained)]:
            self.remove(each)
        if len(self.all) > MOST:
            self.remove(self.all[0])

    @staticmethod
    def _is_same(one: Explained, other: Explained) -> bool:
        return one.asked.place == other.asked.place and one.asked.options == other.asked.options

    def choose(self, wanted: ShownMap | None) -> None:
        """Put this map and no other into the layer; another one than before is seen from `reveal` on."""
        self.current = wanted
        if wanted is None:
            self._discard()
            return
        if self.layer is None:
            self._begin(wanted)
        elif self._held is not wanted:
            self._quiet = True
            self.layer.visible = False
            self._quiet = False
            self._layers.rewrite_map(self.layer, wanted.explained.layer)
        self._held = wanted

    def reveal(self) -> None:
        """Show the current map, once its colours are chosen, unless the user has switched maps off."""
        if self.layer is not None:
            self.layer.visible = self.visible

    def show(self, visible: bool) -> None:
        """Show or hide the current map."""
        self.visible = visible
        if self.layer is not None:
            self.layer.visible = visible

    def remove(self, gone: ShownMap) -> None:
        """Take a map away; the one before it in the list is shown in its place."""
        at = next(i for i, each in enumerate(self.all) if each is gone)
        self.all.pop(at)
        if gone is self.current:
            self.choose(self.all[max(0, at - 1)] if self.all else None)

    def forget_layer(self, layer: Any) -> bool:
        """Somebody else took a layer away; True if it was the one of the maps: they went with it."""
        if self.layer is None or layer is not self.layer:
            return False
        self.layer = self._held = self.current = None
        self.all.clear()
        return True

    def clear(self) -> None:
        """Take all maps away."""
        self.all.clear()
        self.choose(None)

    def _begin(self, first: ShownMap) -> None:
        (self.layer,) = self._layers.add_maps(WHY, [first.explained.layer], visible=False)
        self.layer.events.visible.connect(self._on_visible)
        self._held = first

    def _on_visible(self, _event: Any = None) -> None:
        if not self._quiet:
            self._toggled()

    def _discard(self) -> None:
        layer, self.layer, self._held = self.layer, None, None
        if layer is not None:
            self._layers.discard(layer)

    def look(self, shown: ShownMap, look: Look) -> None:
        """Show the current map in these colours."""
        if shown is self.current and self.layer is not None:
            shown.paint(self.layer, look)


def lines_over(shown: ShownMap) -> list[Line]:
    """Return what stands on a picture with this map: what it is, the verdict, and the caution."""
    made, asked = shown.made, shown.explained.asked
    muted = is_muted(made)
    several = asked.volume.frames > 1
    of = f" · of step {asked.options.frame + 1}" if several else ""  # the map stays when time goes on
    return [
        line(f"Why: {made.target} · {method_words(made.method)}{of}", kept=True),
        line(badge_words(made), colour=YELLOW if muted else "#ffffff", strong=True, kept=True),
        line(CAUTION, kept=True),
    ]
