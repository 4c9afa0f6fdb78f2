"""Explain the three shipped models on validation images, check every map, and write the table of docs/saliency.md.

    python scripts/saliency_table.py DATA [--minutes 10] [--write]

DATA holds pneumonia-mnist, hippocampus-mri and chase-db1. Images are the first ones of each recipe's validation; which
and how many stands in the table. What does not fit into the time is left out, and the table says so.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import napari_medcnn as mc
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.saliency import Check
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.errors import MedcnnError
from napari_medcnn.io.read import read_labels, read_volume
from napari_medcnn.verbs.predict import open_model

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "saliency.md"
BEGIN, END = "<!-- saliency table: begin -->", "<!-- saliency table: end -->"
CLASSIFIER = (
    "grad-cam", "integrated-gradients", "occlusion", "gradient", "gradient-x-input", "smoothgrad", "guided-backprop",
    "grad-cam++", "layer-cam", "eigen-cam", "score-cam",
)  # fmt: skip
SEGMENTER = ("grad-cam", "gradient", "guided-backprop", "layer-cam", "smoothgrad", "integrated-gradients", "occlusion")
SIDE = 256


@dataclass(frozen=True, eq=False)
class Case:
    scan: Volume
    target: str
    reference: LabelMap | None


@dataclass(frozen=True)
class Row:
    model: str
    method: str
    checks: tuple[Check, ...]
    seconds: tuple[float, ...]
    device: str
    refused: str = ""


def pneumonia(data: Path) -> Iterator[Case]:
    """Three radiographs with pneumonia and three without, explained for what they are."""
    sys.path.insert(0, str(ROOT / "recipes"))
    from pneumonia_cxr_pictures import read

    _, validation = read(data / "pneumonia-mnist")
    for label, number in itertools.product((1, 0), range(3)):
        picture = validation.pictures[np.flatnonzero(validation.labels == label)[number]]
        yield Case(picture_of(picture), ("normal", "pneumonia")[label], None)


def hippocampus(data: Path) -> Iterator[Case]:
    """The first two of the validation: the 5th and 10th by file name."""
    folder = data / "hippocampus-mri"
    names = sorted(path.name for path in (folder / "images").glob("*.nii.gz"))[4::5]
    labels = open_model("hippocampus-t1").spec.labels
    for name in names[:2]:
        scan, mask = read_volume(folder / "images" / name), read_labels(folder / "labels" / name)
        yield Case(scan, "anterior hippocampus", LabelMap(mask.array, scan.geometry, labels))


def retina(data: Path) -> Iterator[Case]:
    """The middle of two photographs of the validation."""
    labels = open_model("retina-vessels").spec.labels
    for name in ("09L", "09R"):
        photograph = middle(np.asarray(Image.open(data / "chase-db1" / f"Image_{name}.jpg").convert("RGB")))
        vessels = middle(np.asarray(Image.open(data / "chase-db1" / f"Image_{name}_1stHO.png").convert("L"))) > 0
        scan = picture_of(photograph)
        yield Case(scan, "vessel", LabelMap(vessels[None].astype(np.uint8), scan.geometry, labels))


def middle(picture: np.ndarray) -> np.ndarray:
    y, x = ((n - SIDE) // 2 for n in picture.shape[:2])
    return np.ascontiguousarray(picture[y : y + SIDE, x : x + SIDE])


def picture_of(pixels: np.ndarray) -> Volume:
    grid = Geometry((1, *pixels.shape[:2]), spacing_known=False, orientation_known=False)
    return Volume(pixels[None], grid, "zyxc" if pixels.ndim == 3 else "zyx", modality="picture")


MODELS = {
    "pneumonia-cxr": (pneumonia, CLASSIFIER),
    "hippocampus-t1": (hippocampus, SEGMENTER),
    "retina-vessels": (retina, SEGMENTER),
}


def measure(model: str, method: str, cases: list[Case]) -> Row:
    checks, seconds, device = [], [], ""
    for case in cases:
        started = time.monotonic()
        try:
            made = mc.explain(
                case.scan, model, method=method, target=case.target, device="cpu",
                check=True if case.reference is None else case.reference,
                ignore_fit=True,
            )  # fmt: skip
        except MedcnnError as error:
            return Row(model, method, (), (), "", str(error))
        checks.append(made.check)
        device = made.provenance.device
        seconds.append(time.monotonic() - started)
        print(f"{model} {method}: {made.check.badge}, {made.check.words} {seconds[-1]:.0f} s", flush=True)
    return Row(model, method, tuple(checks), tuple(seconds), device)


def table(device: str, rows: list[str], left_out: list[str]) -> str:
    lines = [
        f"Made by `scripts/saliency_table.py` on {device}, 2 cores shared with other work; means over n images. *rank* "
        "and *SSIM*: wholly random copies. *insertion*, *deletion*: area minus that of random rankings, in units of "
        "the score (of a segmenter summed over its region); above 0 and below 0 are better than random; only of images "
        "where blurring lowers the score (how many). *energy*, *AUPRC*: in brackets what chance gives. *pointing*: "
        "hits. Badges count images. s: seconds for map and check together. Segmenters were asked about the region they "
        "found themselves (anterior hippocampus; vessels in the middle 256 x 256 pixels), and compared with the data's "
        "mask; the classifier about what the picture is (3 with pneumonia, 3 normal).",
        "",
        "| model | method | n | badge | rank | SSIM | insertion | deletion | energy | AUPRC | pointing | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += rows
    lines += ["", f"Left out for want of time: {', '.join(left_out)}."] if left_out else []
    return "\n".join(lines)


def words(row: Row) -> str:
    n = len(row.checks)
    if not n:
        return f"| {row.model} | {row.method} | 0 | refused: {row.refused.replace('|', '/')} {'| ' * 8}|"
    badges = [c.badge for c in row.checks]
    told = ", ".join(f"{b} {badges.count(b)}" if len(set(badges)) > 1 else b for b in dict.fromkeys(badges))
    last = [c.cascade[-1] for c in row.checks if c.cascade]
    curved = [c for c in row.checks if c.insertion and c.deletion and c.insertion.score[0] < c.insertion.score[-1]]
    gain = mean([c.insertion.area - c.insertion.random_area for c in curved], "+.2f")
    loss = mean([c.deletion.area - c.deletion.random_area for c in curved], "+.2f")
    chance = mean([c.prevalence for c in row.checks], ".3f")
    hits = [c.pointing for c in row.checks if c.pointing is not None]
    cells = [
        row.model, row.method, str(n), told, mean([s.rank for s in last], ".2f"),
        mean([s.similarity for s in last], ".2f"), f"{gain} ({len(curved)})", f"{loss} ({len(curved)})",
        f"{mean([c.energy for c in row.checks], '.3f')} ({chance})",
        f"{mean([c.auprc for c in row.checks], '.3f')} ({chance})", f"{sum(hits)} of {len(hits)}" if hits else "-",
        mean(list(row.seconds), ".0f"),
    ]  # fmt: skip
    return "| " + " | ".join(cells).replace("- (-)", "-").replace("- (0)", "-") + " |"


def mean(values: list[float | None], form: str) -> str:
    known = [v for v in values if v is not None]
    return format(statistics.fmean(known), form) if known else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--keep", type=Path, help="JSON of rows; those in it are not measured again")
    parser.add_argument("--write", action="store_true", help="into docs/saliency.md")
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    done = json.loads(arguments.keep.read_text()) if arguments.keep and arguments.keep.exists() else {}
    cases = {model: list(find(arguments.data)) for model, (find, _) in MODELS.items()}
    # one method of each model after the other, so that what runs out of time is not a whole model
    longest = max(len(methods) for _, methods in MODELS.values())
    order = [(model, ms[i]) for i in range(longest) for model, (_, ms) in MODELS.items() if i < len(ms)]
    for model, method in order:
        if f"{model} {method}" not in done and time.monotonic() < end:
            row = measure(model, method, cases[model])
            done[f"{model} {method}"] = words(row)
            done["device"] = row.device or done.get("device", "")
            if arguments.keep:
                arguments.keep.write_text(json.dumps(done, indent=1))
    names = [f"{model} {method}" for model, (_, methods) in MODELS.items() for method in methods]
    made = table(done["device"], [done[n] for n in names if n in done], [n for n in names if n not in done])
    print(made)
    if arguments.write:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
