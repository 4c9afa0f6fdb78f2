"""How the shipped model `pneumonia-cxr` was trained: a small network for PneumoniaMNIST (28 x 28, CC BY 4.0).

    python recipes/pneumonia_cxr.py DATA OUT --compare    # short runs of the candidates, choose by the worst case
    python recipes/pneumonia_cxr.py DATA OUT              # trains four networks: 10 minutes of one core each, busy
    python recipes/pneumonia_cxr.py DATA OUT --evaluate   # writes OUT/final.keras and OUT/scores.json

DATA holds pneumoniamnist_trainval.npz. A network that exists in OUT is not trained again. The training pictures, less
copies, make four parts; each of four networks never sees one of them, and all choices (candidate, temperature,
threshold) rest on what the networks say of the part they never saw. The four, averaged, are the model. The validation
pictures, less those that are training pictures too, are looked at once, by --evaluate. The official test split was
never at hand.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import keras
import numpy as np
from pneumonia_cxr_pictures import STRESS, Split, at_random, folds, normalised, read, stressed
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve

from napari_medcnn.engine.networks import average_classifiers, cnn_classifier
from napari_medcnn.evaluation.classification import brier, calibration_error

SEED, FOLDS, BATCH, LEVELS = 20261121, 4, 64, 3
COMPARED_FOLDS, COMPARED_STEPS = (0, 1), 800


@dataclass(frozen=True)
class Candidate:
    """What may differ: how much the pictures are changed, and the filters of the first level."""

    strength: str
    base: int = 16

    @property
    def name(self) -> str:
        return f"{self.strength}-{self.base}"


CANDIDATES = (Candidate("light"), Candidate("medium"), Candidate("strong"))
#: The best worst case by AUC and by balanced accuracy; little is lost on clean pictures.
CHOSEN, STEPS = CANDIDATES[2], 1600


def batches(split: Split, candidate: Candidate, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `count` batches, half of each normal and half pneumonia, so that how common it is teaches nothing."""
    by_class = [np.flatnonzero(split.labels == label) for label in (0, 1)]
    y = np.tile(np.repeat([0, 1], BATCH // 2), count)
    chosen = [rng.choice(by_class[label]) for label in y]
    x = np.stack([at_random(split.pictures[i].astype(np.float32) / 255, rng, candidate.strength) for i in chosen])
    targets = np.eye(2, dtype=np.float32)[y]
    return normalised(x), targets


def train(split: Split, candidate: Candidate, fold: int, steps: int, target: Path) -> None:
    """Train one network on a split; the file is complete or not there at all."""
    if target.exists():
        return
    begin = time.monotonic()
    keras.utils.set_random_seed(SEED + fold)
    rng = np.random.default_rng([SEED, fold])
    model = cnn_classifier(2, 1, 2, candidate.base, LEVELS, dropout=0.3, name="pneumonia_cxr")
    warm = min(100, steps // 8)
    rate = keras.optimizers.schedules.CosineDecay(1e-4, steps - warm, warmup_target=3e-3, warmup_steps=warm)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=2e-2, clipnorm=5.0),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05),
        jit_compile=False,
    )
    for part in range(0, steps, 100):
        x, y = batches(split, candidate, rng, min(100, steps - part))
        loss = model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0).history["loss"][-1]
        if part % 400 == 300:
            print(f"{target.stem}: {part + 100}/{steps}, loss {loss:.3f}, {time.monotonic() - begin:.0f} s", flush=True)
    model.save(target.with_suffix(".writing.keras"))
    target.with_suffix(".json").write_text(json.dumps({"minutes": (time.monotonic() - begin) / 60, "loss": loss}))
    os.replace(target.with_suffix(".writing.keras"), target)


def part(split: Split, kept: np.ndarray) -> Split:
    return Split(split.pictures[kept], split.labels[kept], split.group[kept])


def logit_of(model: keras.Model, pictures: np.ndarray) -> np.ndarray:
    """Return the log odds of pneumonia (n,)."""
    z = model.predict(normalised(pictures), batch_size=512, verbose=0)
    return (z[:, 1] - z[:, 0]).astype(np.float64)


def out_of_fold(
    split: Split, candidate: Candidate, out: Path, names: tuple[str, ...], which: tuple[int, ...], suffix: str
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return labels and, for "clean" and each named stress, the log odds of pictures no network was trained on."""
    fold, labels = folds(split, FOLDS, SEED), []
    logits: dict[str, list[np.ndarray]] = {name: [] for name in ("clean", *names)}
    for k in which:
        held_out = part(split, fold == k)
        model = keras.models.load_model(out / f"{candidate.name}-{k}{suffix}.keras", compile=False)
        labels.append(held_out.labels)
        for name, parts in logits.items():
            pictures = held_out.pictures if name == "clean" else stressed(held_out.pictures, name)
            parts.append(logit_of(model, pictures))
    return np.concatenate(labels), {name: np.concatenate(parts) for name, parts in logits.items()}


def youden(labels: np.ndarray, logits: np.ndarray) -> float:
    """Return the log odds at which sensitivity + specificity is largest (Youden 1950)."""
    false, true, at = roc_curve(labels, logits)
    return float(at[np.argmax(true - false)])


def operating(labels: np.ndarray, logits: np.ndarray, at: float) -> dict[str, float]:
    """Return AUC, and sensitivity and specificity from `at` on."""
    hit = logits >= at
    sensitivity, specificity = float(hit[labels == 1].mean()), float((~hit)[labels == 0].mean())
    return {
        "auc": float(roc_auc_score(labels, logits)),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "balanced_accuracy": (sensitivity + specificity) / 2,
    }


def compare(data: Path, out: Path) -> None:
    """Train every candidate briefly on two parts and write how each stands the stress tests."""
    split, _ = read(data)
    fold, table = folds(split, FOLDS, SEED), {}
    for candidate in CANDIDATES:
        for k in COMPARED_FOLDS:
            train(part(split, fold != k), candidate, k, COMPARED_STEPS, out / f"{candidate.name}-{k}-short.keras")
        labels, logits = out_of_fold(split, candidate, out, tuple(STRESS), COMPARED_FOLDS, "-short")
        at = youden(labels, logits["clean"])
        table_rows = rows(labels, logits, at)
        worst = {key: min(row[key] for row in table_rows.values()) for key in table_rows["clean"]}
        mean = {key: float(np.mean([row[key] for row in table_rows.values()])) for key in table_rows["clean"]}
        table[candidate.name] = {**asdict(candidate), "worst": worst, "mean": mean, "rows": table_rows}
        print(candidate.name, "clean", table_rows["clean"], "\n  worst", worst, "\n  mean", mean, flush=True)
        (out / "candidates.json").write_text(json.dumps(table, indent=1))


def train_all(data: Path, out: Path) -> None:
    """Train the chosen candidate once for each part left out."""
    split, _ = read(data)
    fold = folds(split, FOLDS, SEED)
    for k in range(FOLDS):
        train(part(split, fold != k), CHOSEN, k, STEPS, out / f"{CHOSEN.name}-{k}.keras")


def calibration(labels: np.ndarray, logits: np.ndarray) -> tuple[float, float]:
    """Return (temperature, offset): p = sigmoid((logit - offset) / temperature) is the likeliest (Platt 1999).

    Both classes weigh the same, so p holds where half of the pictures show pneumonia, and p >= 0.5 is the rule that
    balanced accuracy asks for: it does not lean towards pneumonia because the training hospital saw so much of it.
    Fitted on the pictures as they are and after each stress: what is calibrated on clean pictures alone is too sure of
    itself once pictures change (Ovadia et al. 2019), and calls too much pneumonia.
    """
    weight = np.where(labels == 1, 1 / (labels == 1).sum(), 1 / (labels == 0).sum())
    fit = LogisticRegression(C=1e6).fit(logits[:, None], labels, sample_weight=weight * len(labels) / 2)
    slope = float(fit.coef_[0, 0])
    return 1 / slope, -float(fit.intercept_[0]) / slope


def probability(logits: np.ndarray, temperature: float, offset: float, prevalence: float = 0.5) -> np.ndarray:
    return 1 / (1 + np.exp(-((logits - offset) / temperature + np.log(prevalence / (1 - prevalence)))))


def measured(labels: np.ndarray, logits: np.ndarray, temperature: float, offset: float) -> dict[str, Any]:
    """Return what the card says of the validation; intervals: 95 percent, bootstrap over the pictures of each class."""

    def numbers(chosen: np.ndarray) -> dict[str, float]:
        y, z = labels[chosen], logits[chosen]
        row = operating(y, z, offset)
        return {**row, "accuracy": float(((z >= offset) == (y == 1)).mean())}

    rng = np.random.default_rng(SEED)
    classes = [np.flatnonzero(labels == label) for label in (0, 1)]
    draws = [numbers(np.concatenate([rng.choice(c, len(c)) for c in classes])) for _ in range(2000)]
    result: dict[str, Any] = {}
    for key, mean in numbers(np.arange(len(labels))).items():
        low, high = np.percentile([d[key] for d in draws], [2.5, 97.5])
        result[key] = {"mean": mean, "low": float(low), "high": float(high), "n": len(labels)}
    share = float((labels == 1).mean())
    result["accuracy_of_always_answering_pneumonia"] = share
    hit, miss = result["sensitivity"]["mean"], 1 - result["specificity"]["mean"]
    result["predictive_values"] = {
        f"where {p:.0%} have pneumonia": {
            "positive": hit * p / (hit * p + miss * (1 - p)),
            "negative": (1 - miss) * (1 - p) / ((1 - miss) * (1 - p) + (1 - hit) * p),
        }
        for p in (share, 0.5, 0.1)
    }
    before, after = probability(logits, 1.0, 0.0, share), probability(logits, temperature, offset, share)
    result["calibration"] = {
        name: {"ece_10_bins": calibration_error(labels == 1, p), "brier": brier(labels == 1, p)}
        for name, p in (("before", before), ("after", after))
    }
    return result


def rows(labels: np.ndarray, logits: dict[str, np.ndarray], at: float) -> dict[str, dict[str, float]]:
    return {name: operating(labels, z, at) for name, z in logits.items()}


def evaluate(data: Path, out: Path) -> None:
    """Join the four networks, calibrate them on what they never saw, and measure the whole on the validation."""
    split, validation = read(data)
    labels, logits = out_of_fold(split, CHOSEN, out, tuple(STRESS), tuple(range(FOLDS)), "")
    temperature, offset = calibration(np.tile(labels, len(logits)), np.concatenate(list(logits.values())))
    files = [out / f"{CHOSEN.name}-{k}" for k in range(FOLDS)]
    members = [keras.models.load_model(file.with_suffix(".keras"), compile=False) for file in files]
    model = average_classifiers(members, name="pneumonia_cxr")
    seen = logit_of(model, validation.pictures)
    under = {name: logit_of(model, stressed(validation.pictures, name)) for name in STRESS}
    fold = folds(split, FOLDS, SEED)
    result = {
        "validation": measured(validation.labels, seen, temperature, offset),
        "validation_under_stress": rows(validation.labels, under, offset),
        "out_of_fold": rows(labels, logits, offset)
        | {"clean_at_best_youden_point": operating(labels, logits["clean"], youden(labels, logits["clean"]))},
        "fold_auc": [
            float(roc_auc_score(split.labels[fold == k], part_of(logits["clean"], fold, k))) for k in range(FOLDS)
        ],
        "temperature": temperature,
        "offset_of_log_odds": offset,
        "counts": {
            "training": np.bincount(split.labels).tolist(),
            "validation": np.bincount(validation.labels).tolist(),
        },
        "candidate": {**asdict(CHOSEN), "steps": STEPS, "batch": BATCH, "networks": FOLDS},
        "candidates": json.loads((out / "candidates.json").read_text()) if (out / "candidates.json").exists() else {},
        "parameters": model.count_params(),
        "training_minutes": [json.loads(file.with_suffix(".json").read_text())["minutes"] for file in files],
        "seed": SEED,
        "versions": {p: version(p) for p in ("keras", "tensorflow", "numpy", "scipy", "scikit-learn", "pillow")},
    }
    kernel, bias = model.get_layer("logits").get_weights()
    # at the operating point both classes are equally likely: the largest probability decides, as everywhere
    model.get_layer("logits").set_weights([kernel, bias + np.array([0.5, -0.5], np.float32) * np.float32(offset)])
    model.save(out / "final.keras")
    (out / "scores.json").write_text(json.dumps(result, indent=1))
    print(json.dumps({k: result[k] for k in ("validation", "fold_auc", "temperature", "offset_of_log_odds")}, indent=1))


def part_of(logits: np.ndarray, fold: np.ndarray, k: int) -> np.ndarray:
    """Return the log odds of part k: `out_of_fold` lists the parts one after the other."""
    return logits[int((fold < k).sum()) :][: int((fold == k).sum())]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--evaluate", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    work = compare if arguments.compare else evaluate if arguments.evaluate else train_all
    work(arguments.data, arguments.out)
