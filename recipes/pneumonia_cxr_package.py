"""How the shipped package `pneumonia-cxr` was made of what `pneumonia_cxr.py --evaluate` wrote: its card is here.

    python recipes/pneumonia_cxr_package.py OUT TARGET     # OUT holds final.keras and scores.json

TARGET is src/napari_medcnn/models/pneumonia-cxr; it must not exist, a model is never overwritten. Cover and test
tensors are drawn by `chest` below, never taken from PneumoniaMNIST. The whole of scores.json goes to
recipes/logs/pneumonia_cxr.json.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from pneumonia_cxr import LEVELS, SEED
from pneumonia_cxr_pictures import SIZE, STEPS
from scipy import ndimage

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.core.spec import Decision, Fingerprint, ModelSpec, Preparation
from napari_medcnn.core.volume import Volume
from napari_medcnn.imaging.pipeline import prepare
from napari_medcnn.io.packages import write_package
from napari_medcnn.io.prescan import check_keras_file

#: What MedMNIST did to its sources, any exposure and MONOCHROME1 included.
PREPARATION = Preparation(
    dimensions=2,
    channels=1,
    steps=(("fill_shape", {"shape": (SIZE, SIZE)}), ("as_displayed", {}), *STEPS),
)
LOG = Path(__file__).with_name("logs") / "pneumonia_cxr.json"


def card(temperature: float, scores: Mapping[str, Any]) -> ModelSpec:
    """Return the specification for a temperature and the published scores (plain JSON)."""
    return ModelSpec(
        name="pneumonia-cxr",
        title="Pneumonia in chest X-rays of children, at 28 x 28 pixels",
        task="classification",
        description=(
            "Mean of four small convolutional networks (28 x 28 pixels), each trained on three quarters of the data. A "
            "picture of any size is cut to the square around its centre and shrunk; exposure is taken out."
        ),
        preparation=PREPARATION,
        labels=LabelSet(
            (
                Label(1, "normal", (0, 158, 115)),
                Label(2, "pneumonia", (213, 94, 0), "SCT:233604007"),
            )
        ),
        decision=Decision(ids=(1, 2), exclusive=True),
        activation="softmax",
        temperature=temperature,
        divisor=2 ** (LEVELS - 1),
        fingerprint=Fingerprint(
            modalities=("CR", "DX", "RG", "picture"),
            size_px=(float(SIZE), 3000.0),
            population="Children of 1 to 5 years from one hospital in Guangzhou, front views",
        ),
        licence="CC-BY-4.0",
        training_data=(
            "PneumoniaMNIST of MedMNIST v2 (Yang et al. 2023, CC BY 4.0), made of the chest X-rays of Kermany et al. "
            "2018; official training split less copies. The official validation split, less 8 pictures that are "
            "training pictures too, was kept for validation."
        ),
        limits=LIMITS,
        scores=dict(scores),
    )


LIMITS = (
    "A teaching and testing example, not a reader of X-rays: at 28 x 28 pixels only gross changes are left. Validation "
    "pictures come from the same hospital as the training pictures, perhaps from the same children (no patient "
    "numbers were published), so the scores here are optimistic. Published for the official test split, not measured "
    "here: ResNet-18 (28 x 28) AUC 0.944 and accuracy 0.854, Google AutoML Vision 0.991 and 0.946 (Yang et al. 2023); "
    "networks call too many of its normal pictures pneumonia. Not tested on adults, on side views, on other "
    "hospitals, other diseases or devices. The probability is calibrated for a place where half of the pictures show "
    "pneumonia. The predictive values rest on the validation's specificity; under stress it falls to 0.83, and then "
    "six of ten positive answers are false where one in ten is ill. Every other disease "
    "is called one of the two classes all the same. Cut away borders, tables and text before; a mirrored picture was "
    "never seen in training."
)


def published(log: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scores as the card tells them."""
    stress = log["validation_under_stress"]
    worst = min(stress, key=lambda name: stress[name]["auc"])
    return {
        "validation": log["validation"],
        "auc_under_stress": {name: row["auc"] for name, row in stress.items()},
        "balanced_accuracy_under_stress": {name: row["balanced_accuracy"] for name, row in stress.items()},
        "worst_stress_by_auc": {worst: stress[worst]},
        "auc_of_each_network_on_the_part_it_never_saw": log["fold_auc"],
        "counts_normal_pneumonia": log["counts"],
        "how": (
            "AUC by scikit-learn; intervals: 95 percent, bootstrap over the pictures of each class, not over "
            "hospitals. Class = the more "
            "probable one; temperature and offset were fitted on pictures that the network in question never saw, "
            "both classes weighing the same, so that the threshold does not lean on how common pneumonia was there. "
            "Calibration error and Brier score are for probabilities moved to the validation's own share of "
            "pneumonia. Stress: the validation pictures changed in ways that leave the diagnosis as it is, listed "
            "before the first network was trained. Mirroring is no part of training: it would fabricate a heart on "
            "the right."
        ),
        "training_minutes_on_a_busy_machine": round(sum(log["training_minutes"]), 1),
        "seed": log["seed"],
        "versions": log["versions"],
    }


def chest(size: int = 280) -> np.ndarray:
    """Draw a made-up front view (size, size) uint8: two lungs, spine, heart, diaphragm and ribs, seeded noise."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    picture = np.full((size, size), 0.72)
    for side in (-1, 1):
        lung = ((x - side * 0.21) / 0.15) ** 2 + ((y + 0.04) / 0.34) ** 2 < 1
        ribs = 0.06 * np.cos(40 * (y - 0.5 * side * x) + 1) + 0.03
        picture = np.where(lung, 0.28 + ribs, picture)
    picture = np.where(((x - 0.06) / 0.15) ** 2 + ((y - 0.13) / 0.16) ** 2 < 1, 0.78, picture)
    picture = np.where(y > 0.25 + 0.5 * (np.abs(x) - 0.2) ** 2, 0.8, picture)
    picture += 0.1 * np.exp(-((x / 0.04) ** 2)) * (1 + 0.3 * np.cos(60 * y))
    picture = np.where(np.abs(x) > 0.46 - 0.1 * np.clip(-y, 0, 1), 0.08, picture)
    noise = np.random.default_rng(SEED).normal(0, 0.05, picture.shape)
    soft = ndimage.gaussian_filter(picture, size / 90) + ndimage.gaussian_filter(noise, 1)
    return np.rint(np.clip(soft, 0, 1) * 255).astype(np.uint8)


def main(out: Path, target: Path) -> None:
    log = json.loads((out / "scores.json").read_text())
    check_keras_file(out / "final.keras")
    model = keras.models.load_model(out / "final.keras", compile=False)
    drawn = chest()
    noise = np.random.default_rng(SEED).normal(size=(1, SIZE, SIZE, 1)).astype(np.float32)
    pictures = [prepare(Volume(drawn[None], Geometry.picture(*drawn.shape)), PREPARATION).data, noise]
    window = np.concatenate(pictures)
    answer = keras.ops.convert_to_numpy(model(window, training=False))
    cover = np.repeat(drawn[..., None], 3, axis=-1)
    spec = card(log["temperature"], published(log))
    write_package(target, spec, out / "final.keras", window, answer, cover)
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text(json.dumps(log, indent=1) + "\n")
    print(f"{target}: {sum(p.stat().st_size for p in target.iterdir()) / 1e6:.2f} MB, drawn chest {answer[0]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    main(arguments.out, arguments.target)
