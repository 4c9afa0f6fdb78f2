"""The card of `hippocampus-t1`: what it is, and how a crop of a T1 scan becomes a mask. Recipe and package share it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.spec import Decision, Fingerprint, ModelSpec, Preparation

LEVELS, BASE, MOST = 4, 16, 128
PREPARATION = Preparation(
    dimensions=3,
    channels=1,
    orientation=("S", "A", "R"),  # the order in which the training crops are stored
    spacing_mm=(1.0, 1.0, 1.0),
    steps=(("percentile_clip", {"low": 0.5, "high": 99.5}), ("zscore", {})),
    channel_names=("T1",),
)
TILE, OVERLAP = (48, 64, 48), 0.5  # shrinks to the next multiple of 8: every training crop is one window
DECISION = Decision(ids=(0, 1, 2), exclusive=True)
SIDES_MM = (26.0, 58.0)  # of any training crop, along any axis
# Every fifth case by file name (the 5th, 10th, 15th ...), fixed before anything was trained.
VALIDATION = tuple(
    f"hippocampus_{number:03d}"
    for number in (11, 24, 37, 45, 53, 67, 87, 94, 102, 114, 132, 143, 152, 162, 171, 178, 190, 204)
    + (217, 225, 233, 244, 253, 265, 280, 292, 300, 310, 320, 329, 336, 349, 356, 367, 378, 389)
)


def card(scores: Mapping[str, Any]) -> ModelSpec:
    """Return the specification for the published scores (plain JSON)."""
    return ModelSpec(
        name="hippocampus-t1",
        title="Hippocampus, anterior and posterior, in crops of T1 MRI",
        task="segmentation",
        description=f"3D U-Net, {LEVELS} levels, {BASE} to {MOST} filters, on 1 mm crops around one hippocampus.",
        preparation=PREPARATION,
        labels=LabelSet(
            (
                Label(1, "anterior hippocampus", (230, 159, 0)),
                Label(2, "posterior hippocampus", (86, 180, 233)),
            )
        ),
        decision=DECISION,
        activation="softmax",
        tile=TILE,
        overlap=OVERLAP,
        divisor=2 ** (LEVELS - 1),
        symmetric=(2,),  # mirrored crops were trained on as much as the crops themselves
        fingerprint=Fingerprint(
            modalities=("MR",),
            spacing_mm=((1.0, 1.0),) * 3,
            # the smallest and the largest side of any training crop, for every axis: storage order must not matter
            field_of_view_mm=(SIDES_MM,) * 3,
            size_px=SIDES_MM,
            population=(
                f"{scores['n_training']} crops of T1 scans of adults, about half healthy, half with a psychotic "
                "disorder, from one hospital in the USA"
            ),
        ),
        licence="CC-BY-SA-4.0",
        training_data=(
            "Medical Segmentation Decathlon, Task04 Hippocampus (CC BY-SA 4.0): 146 of 182 crops with expert labels; "
            "the 36 for validation are every fifth by file name: " + ", ".join(v[-3:] for v in VALIDATION)
        ),
        intended_use=(
            "Research use only, not for diagnosis. For a box of T1-weighted MRI, about 35 x 50 x 35 mm, cut around one "
            "hippocampus, left or right. Not for a whole head: cut the box first."
        ),
        limits=(
            "It knows no other part of the brain: a whole head, a box elsewhere or another contrast gives labels "
            "without meaning. The border between anterior and posterior is a convention of the annotators. Nearly "
            "all crops look like a right hippocampus (in 171 of 182 the tail lies further to the left than the head); "
            "the other side was seen as mirror images only, in training and in the scores. The later half of the "
            "file names scores about 0.04 lower than the earlier half, in both parts; why is not known. Nothing is "
            "known for tumours, surgery, epilepsy, dementia, children or other scanners. The data do not say which "
            "crops are of one person, so a person may stand on both sides of the split, and the intervals take crops "
            "as independent."
        ),
        scores=dict(scores),
    )
