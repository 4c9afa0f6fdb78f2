"""What a network took while a map was made: the pace from which maps and checks are forecast."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_medcnn.core.explain_time import Passes
from napari_medcnn.core.saliency import GRADIENT, Pace


@dataclass(frozen=True)
class Lap:
    """Seconds for so many windows."""

    seconds: float = 0.0
    windows: int = 0

    def __add__(self, other: Lap) -> Lap:
        return Lap(self.seconds + other.seconds, self.windows + other.windows)

    @property
    def one(self) -> float | None:
        return self.seconds / self.windows if self.windows else None


@dataclass(eq=False)
class Clock:
    """Adds up what windows took, with a gradient and without.

    The first batch of each kind is kept apart: the network is traced then.

    Parameters
    ----------
    passes
        Windows that were shown for the last map.
    told
        Whether it was said how long the work takes.
    """

    passes: Passes = field(default_factory=Passes)
    told: bool = False
    _steady: dict[bool, Lap] = field(default_factory=dict)
    _first: dict[bool, Lap] = field(default_factory=dict)

    def add(self, gradient: bool, windows: int, lap: Lap, fresh: bool) -> None:
        """Note a batch of `windows`, filled up to those of `lap`; `fresh` if the network was traced for it."""
        self.passes += Passes(0, windows) if gradient else Passes(windows, 0)
        laps = self._first if fresh else self._steady
        laps[gradient] = laps.get(gradient, Lap()) + lap

    def steady(self, gradient: bool) -> float | None:
        """Return the seconds of one window without what tracing takes, None before that is known."""
        return self._steady.get(gradient, Lap()).one

    @property
    def pace(self) -> Pace | None:
        """The pace so far; a kind that was not timed without tracing is taken from the other. None before any."""
        answer, gradient = self.steady(False), self.steady(True)
        if answer is None and gradient is None:
            answer, gradient = (self._first.get(kind, Lap()).one for kind in (False, True))
        if answer is None and gradient is None:
            return None
        if answer is None:
            answer = (gradient or 0.0) / GRADIENT
        if gradient is None:
            gradient = answer * GRADIENT
        one = {False: answer, True: gradient}
        start = sum(max(0.0, lap.seconds - lap.windows * one[kind]) for kind, lap in self._first.items())
        return Pace(answer, gradient, start)
