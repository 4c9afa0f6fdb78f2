"""How the mask on the screen was made, as it is saved beside the mask."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from napari_medcnn import __version__
from napari_medcnn.core.results import Classification, Segmentation


def provenance_of(result: Segmentation | Classification | None, corrected: bool, recovered: bool) -> dict[str, Any]:
    """Return the record of a mask: of the run that drew it, or that none is known.

    Parameters
    ----------
    result
        What the model gave; anything but a Segmentation did not draw the mask.
    corrected, recovered
        A person changed it; it was brought back after a crash.
    """
    if not isinstance(result, Segmentation):
        how = "Recovered after a crash" if recovered else "Drawn or opened"
        return {
            "model": None,
            "versions": {"napari-medcnn": __version__},
            "time": datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
            "notes": [f"{how}, corrected by hand; no model run is known for this mask."],
            "research_use": "Research use only, not for diagnosis.",
        }
    made = result.provenance.to_json()
    if corrected:
        made["notes"] = [*made.get("notes", []), "Corrected by hand after the model."]
    return made
