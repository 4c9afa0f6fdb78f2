"""Whether another engine gives the same results as the reference, measured on the model's own test tensors.

A verdict is kept beside the converted model and holds for one model, engine version, precision and processor.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_medcnn.core import paths
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.engine.backends import EngineName, Float32, finish
from napari_medcnn.engine.runtime import has_gpu, versions
from napari_medcnn.engine.trust import sha256_of

#: float32: largest difference of raw outputs as a share of the largest one, and least share of equal decisions.
TOLERANCE, LEAST_EQUAL = 1e-3, 0.999
#: bfloat16 keeps 8 bits: least Dice of the decisions of each class, largest difference of a whole case's probability.
LEAST_DICE, MOST_PROBABILITY = 0.99, 0.02
_VERDICT, _IR = "verdict.json", "model.xml"
_RUNS = 5
_MODULES = {"onnx": "onnxruntime", "openvino": "openvino", "keras": "keras"}


@dataclass(frozen=True)
class Verdict:
    """What a comparison found.

    Parameters
    ----------
    parity
        ``largest_difference`` (share of the largest raw output), ``tolerance``, ``equal`` (share of equal decisions),
        ``dice`` (the worst class, None where no class was found), ``ok``.
    seconds
        Of one forward pass: of the reference ("keras" or "onnx") and of the "other".
    files
        sha256 of the converted files by name.
    """

    key: str
    engine: str
    parity: dict[str, Any]
    seconds: dict[str, float]
    files: dict[str, str] = field(default_factory=dict)
    on: str = "test tensors"

    @property
    def ok(self) -> bool:
        """True if the results are equal within the tolerance."""
        return bool(self.parity["ok"])

    @property
    def faster(self) -> bool:
        """True if it took less time than the reference."""
        reference = [s for name, s in self.seconds.items() if name != "other"]
        return bool(reference) and self.seconds["other"] < reference[0]

    def words(self) -> str:
        """Return what was found, for a person."""
        found = self.parity
        dice = f", Dice of its decisions {found['dice']:.3f}" if found.get("dice") is not None else ""
        return (
            f"largest difference {found['largest_difference']:.2g} of the largest value (allowed "
            f"{found['tolerance']:g}), {found['equal']:.2%} equal decisions{dice}"
        )


def compare(reference: Float32, other: Float32, spec: ModelSpec, precision: str) -> dict[str, Any]:
    """Compare two raw outputs (batch, ..., channel) of the same input; see `Verdict.parity`."""
    if reference.shape != other.shape or not np.isfinite(other).all():
        return {"largest_difference": 1e9, "tolerance": TOLERANCE, "equal": 0.0, "dice": 0.0, "ok": False}
    scale = max(float(np.abs(reference).max()), 1e-6)
    difference = float(np.abs(reference - other).max()) / scale
    ours, theirs = (finish(raw, spec.activation, spec.temperature)[0] for raw in (reference, other))
    first, second = (_decided(scores, spec) for scores in (ours, theirs))
    equal = float((first == second).all(axis=-1).mean())
    overlaps = []
    for channel, label in enumerate(spec.decision.ids):
        both = int(first[..., channel].sum()) + int(second[..., channel].sum())
        if both and not (spec.decision.exclusive and label == 0):
            overlaps.append(2 * int((first[..., channel] & second[..., channel]).sum()) / both)
    if precision == "float32":
        ok, tolerance = difference <= TOLERANCE and equal >= LEAST_EQUAL, TOLERANCE
    elif spec.task == "classification":
        tolerance = MOST_PROBABILITY
        difference = float(np.abs(ours - theirs).max())
        ok = equal == 1.0 and difference <= tolerance
    else:
        ok, tolerance = min(overlaps, default=1.0) >= LEAST_DICE, 1.0
    dice = min(overlaps, default=None)
    return {"largest_difference": difference, "tolerance": tolerance, "equal": equal, "dice": dice, "ok": bool(ok)}


def _decided(scores: Float32, spec: ModelSpec) -> Any:
    """Return True (..., channel) where a channel wins, or reaches its threshold where each is judged alone."""
    if spec.decision.exclusive:
        return np.arange(scores.shape[-1]) == scores.argmax(axis=-1)[..., None]
    return scores >= np.asarray(spec.decision.thresholds, np.float32)


def seconds_of(runs: Sequence[Callable[[], object]], check: Callable[[], None]) -> list[float]:
    """Return the shortest time of each call, in seconds.

    They take turns, so that what else the computer does meets all of them; the first call, which compiles, does not
    count.
    """
    best = [float("inf")] * len(runs)
    for turn in range(_RUNS + 1):
        for number, run in enumerate(runs):
            check()
            begun = time.perf_counter()
            run()
            if turn:
                best[number] = min(best[number], time.perf_counter() - begun)
    return best


def machine() -> str:
    """Return a short word for this processor and whether there is a GPU: results and times hold for it only."""
    words = [platform.machine(), platform.processor(), str(os.cpu_count()), "gpu" if has_gpu() else "cpu"]
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines():
            if line.partition(":")[0].strip() in ("model name", "flags", "Features"):
                words.append(line)
    except OSError:
        pass
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


class Verdicts:
    """Verdicts and converted models on disk, under the user's private folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else paths.home() / "engines"

    def place(self, sha256: str, engine: EngineName, precision: str) -> Path:
        """Return the folder for one model, engine version and precision."""
        number = versions().get(_MODULES[engine], "0").partition("-")[0]
        return self.folder / f"{sha256[:32]}-{engine}-{number}-{precision}"

    def key(self, sha256: str, engine: EngineName, precision: str) -> str:
        """Return what a verdict must say to hold here and now."""
        found = versions()
        return " ".join(
            [sha256, engine, precision, found.get(_MODULES[engine], "0"), found.get("keras", ""), machine()]
        )

    def read(self, sha256: str, engine: EngineName, precision: str) -> Verdict | None:
        """Return the verdict that holds here, None where there is none or its files are not those it was given for."""
        folder = self.place(sha256, engine, precision)
        try:
            data = json.loads((folder / _VERDICT).read_text(encoding="utf-8"))
            verdict = Verdict(**data)
            whole = all(sha256_of(folder / name) == digest for name, digest in verdict.files.items())
            same = verdict.key == self.key(sha256, engine, precision) and isinstance(verdict.parity["ok"], bool)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return verdict if whole and same else None

    def converted(self, sha256: str, engine: EngineName, precision: str) -> Path:
        """Return where the converted model lies."""
        return self.place(sha256, engine, precision) / _IR

    @contextmanager
    def writing(self, sha256: str, engine: EngineName, precision: str) -> Iterator[Path]:
        """Lend a folder that takes its place when the block ends without an error; what was there goes."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=self.folder))
        target = self.place(sha256, engine, precision)
        try:
            inside = temporary / "new"
            inside.mkdir()
            yield inside
            if target.exists():
                os.replace(target, temporary / "old")
            os.replace(inside, target)
            for old in self.folder.glob(f"{sha256[:32]}-{engine}-*-{precision}"):  # of other versions of the engine
                if old != target:
                    shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def any_faster(self) -> bool:
        """Return True if some model runs faster without Keras here."""
        for file in self.folder.glob(f"*-openvino-*/{_VERDICT}"):
            try:
                verdict = Verdict(**json.loads(file.read_text(encoding="utf-8")))
                if verdict.ok and verdict.faster and verdict.key.endswith(machine()):
                    return True
            except (OSError, ValueError, TypeError, KeyError):
                continue
        return False


def save_verdict(folder: Path, verdict: Verdict) -> None:
    """Write a verdict beside its files."""
    (folder / _VERDICT).write_text(json.dumps(asdict(verdict), indent=1), encoding="utf-8")
