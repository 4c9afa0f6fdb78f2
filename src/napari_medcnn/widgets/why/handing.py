"""A map that leaves the window: saved, as a picture, as text that makes it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_medcnn.core.saliency import SaliencyMap
from napari_medcnn.errors import MedcnnError
from napari_medcnn.verbs.copyable import explain_command, explain_python
from napari_medcnn.verbs.explain import ExplainRequest
from napari_medcnn.widgets.hand_on.wishes import MapOffer, MapWish
from napari_medcnn.widgets.mask_saving import SAVING
from napari_medcnn.widgets.parts import TextWindow, copy_text
from napari_medcnn.widgets.study_model import person_words
from napari_medcnn.widgets.why import why_jobs
from napari_medcnn.widgets.why.map_panel import MapPanel
from napari_medcnn.widgets.why.maps import ShownMap

if TYPE_CHECKING:
    from pathlib import Path

    from napari_medcnn.widgets.dock import MedcnnDock

UNSAVED = "You asked about a part of the mask: save the mask first (Save mask, above), the command names its file."


class MapHanding:
    """Connects the lower buttons of the panel.

    Parameters
    ----------
    dock, panel
        Whose dialogs and message line, and whose buttons.
    current
        Returns the map that is shown.
    """

    def __init__(self, dock: MedcnnDock, panel: MapPanel, current: Callable[[], ShownMap | None]) -> None:
        self._dock, self._panel, self._current = dock, panel, current
        dock.session.saved_changed.connect(self.refresh)
        panel.save_asked.connect(self.save)
        panel.picture_asked.connect(dock.reading.handing_on.picture)
        panel.how_asked.connect(self._how)
        panel.command_asked.connect(lambda: self._copy(explain_command))
        panel.python_asked.connect(lambda: self._copy(explain_python))

    def save(self) -> None:
        """Ask, and save the map that is shown."""
        dock, shown = self._dock, self._current()
        if shown is None:
            return
        hand_on = dock.reading.handing_on
        offer = MapOffer(f"{hand_on.suggestion}-why", person_words(dock.browsing.person()), hand_on.risk)
        wish: MapWish | None = dock.dialogs.map(offer)
        if wish is None:
            return
        dock.session.names.add(str(wish.path))
        person = person_words(dock.browsing.person()) if wish.names else ""
        mask = None if dock.layers.mask is None else why_jobs.mask_now(dock.layers.mask)
        work = why_jobs.saving(shown.explained, shown.made, wish.path, person, mask)
        dock.tasks.start(SAVING, work, self._saved, dock.showing.on_failed)

    def _saved(self, path: Path) -> None:
        self._dock.say(f"Saved: {path.name}")

    def _how(self) -> None:
        shown = self._current()
        if shown is not None:
            TextWindow("How this was made", how_words(shown.made), self._dock).show()

    def refresh(self) -> None:
        """Offer what can be copied: of a clicked part only once the mask that it is part of is a file."""
        shown = self._current()
        if shown is not None:
            self._panel.show_copyable([self._why_not(shown, make) for make in (explain_command, explain_python)])

    def _why_not(self, shown: ShownMap, make: Callable[..., str]) -> str:
        request = self._request(shown)
        if request.mask is not None and not request.mask.source.get("path"):
            return UNSAVED
        try:
            make(request)
        except MedcnnError as error:
            return str(error)
        return ""

    def _request(self, shown: ShownMap) -> ExplainRequest:
        request, session = shown.explained.request, self._dock.session
        if request.mask is not None and session.file.path is not None and session.saved_words == "saved":
            mask = replace(request.mask, source={"path": str(session.file.path)})  # saved since it was asked about
            request = replace(request, mask=mask)
        return request

    def _copy(self, make: Callable[..., str]) -> None:
        """Put what makes the map again on the clipboard, with its check if it was checked."""
        shown = self._current()
        if shown is None:
            return
        try:
            copy_text(make(self._request(shown), checked=shown.made.check is not None))
        except MedcnnError as error:
            self._dock.showing.on_failed(error)
        else:
            self._dock.say("Copied.")


def how_words(made: SaliencyMap) -> str:
    """Return how a map was made: in words first, then the whole record as it is saved."""
    record = made.provenance
    model = record.model
    facts = ", ".join(f"{name} {value}" for name, value in made.facts.items())
    lines = [
        f"Model: {model.get('name', '')}, version {model.get('version', '')}, licence {model.get('licence', '')}",
        f"Asked: {made.target}",
        f"Method: {made.method}" + (f", layer {made.layer}" if made.layer else ""),
        f"Score that was explained: {made.score:.4g}",
        *([f"Numbers of the method: {facts}"] if facts else []),
        f"When: {record.time}",
        f"Where it ran: {record.device}",
        *(f"Note: {note}" for note in record.notes),
        *([f"Check: {made.check.badge}. {made.check.words}"] if made.check is not None else ["Check: not checked"]),
        "",
        record.research_use,
        "",
        "The record that is saved beside the map:",
        "",
    ]
    return "\n".join(lines) + json.dumps(record.to_json(), indent=2, ensure_ascii=False, default=str)
