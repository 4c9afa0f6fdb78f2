"""The card of `retina-vessels`: what it is, and how a photograph becomes a mask. Recipe and package share it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.spec import Decision, Fingerprint, ModelSpec, Preparation

LEVELS = 5
PREPARATION = Preparation(
    dimensions=2,
    channels=3,
    steps=(("local_normalise", {"sigma_px": 30.0, "floor": 0.3, "border_px": 8}),),
)
TILE, OVERLAP = (512, 512), 0.25
CLEAN_UP = (("remove_small", {"minimum_voxels": 30}),)


def card(threshold: float, scores: Mapping[str, Any]) -> ModelSpec:
    """Return the specification for a threshold and the published scores (plain JSON)."""
    return ModelSpec(
        name="retina-vessels",
        title="Retinal vessels in fundus photographs",
        task="segmentation",
        description="2D U-Net, 5 levels, 16 to 128 filters, on colour fundus photographs after local normalisation.",
        preparation=PREPARATION,
        labels=LabelSet((Label(1, "vessel", (86, 180, 233), "SCT:59820001"),)),
        decision=Decision(ids=(1,), exclusive=False, thresholds=(threshold,)),
        activation="sigmoid",
        tile=TILE,
        overlap=OVERLAP,
        divisor=2 ** (LEVELS - 1),
        postprocess=CLEAN_UP,
        fingerprint=Fingerprint(
            modalities=("picture",),
            size_px=(640.0, 1440.0),
            values=(0.0, 255.0),
            population="8 schoolchildren (16 eyes) in England, 30 degree photographs centred on the optic disc",
        ),
        licence="CC-BY-4.0",
        training_data=(
            "CHASE_DB1, children 01 to 08, first observer (Kingston University, CC BY 4.0); "
            "children 09 and 10 kept for validation"
        ),
        limits=(
            "Trained on one camera and on children. Choroidal vessels of pale fundi, haemorrhages and dark scars may "
            "be taken for vessels; the finest vessels are broken up. Not tested on disease. Validation images were "
            "looked at while earlier networks were made, so the scores are somewhat optimistic. The threshold is 0.5; "
            "the one best on the training images, 0.35, gives a mean Dice of 0.787."
        ),
        scores=dict(scores),
    )
