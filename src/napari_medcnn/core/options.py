"""One options value per verb: it feeds the form, the command line, the protocol and the run record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from napari_medcnn.core.saliency import METHODS
from napari_medcnn.errors import InputError

Device = Literal["auto", "cpu", "gpu"]
Engine = Literal["auto", "keras", "onnx", "openvino"]
Precision = Literal["float32", "bfloat16"]
Slices = Literal["card", "axial", "coronal", "sagittal"]
Span = tuple[int, int]

#: What the options that are one of a few words may be.
CHOICES = {
    "device": ("auto", "cpu", "gpu"),
    "engine": ("auto", "keras", "onnx", "openvino"),
    "precision": ("float32", "bfloat16"),
    "slices": ("card", "axial", "coronal", "sagittal"),
    "uncertainty_kind": ("entropy", "variance"),
    "baseline": ("mean", "air", "blur", "black"),
}


@dataclass(frozen=True)
class PredictOptions:
    """How to run a model on a scan.

    Parameters
    ----------
    device
        "auto" takes a GPU when one works.
    probabilities
        Also return the probability of every class on the scan's grid.
    uncertainty
        Also return a uint8 map, 0 sure to 255 undecided.
    uncertainty_kind
        Of that map: "entropy" of the probabilities, or their "variance" between mirrored runs (needs `flips`).
    frame
        Time point of a 4D scan, from 0.
    ignore_fit
        Run although the fit check says stop for a reason the user may override (never for channels or dimensions).
    flips
        Also run mirrored, along every axis that the card declares symmetric, and average; refused where none is.
    region
        Run only inside this box of the scan's own grid: (start, stop) voxels along z, y, x; None for all of it.
    slices
        Which slices a 2D network sees of a volume: as its card says, or axial, coronal, sagittal.
    coarse
        Look first with windows side by side, then with the full overlap only around what was found.
    engine
        "auto" takes a faster one only after it was found equal on the model's test tensors; else Keras.
    precision
        "bfloat16" is faster on some processors and a little less exact.
    """

    device: Device = "auto"
    probabilities: bool = False
    uncertainty: bool = True
    frame: int = 0
    ignore_fit: bool = False
    uncertainty_kind: Literal["entropy", "variance"] = "entropy"
    flips: bool = False
    region: tuple[Span, Span, Span] | None = None
    slices: Slices = "card"
    coarse: bool = False
    engine: Engine = "auto"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name in ("device", "engine", "precision", "slices", "uncertainty_kind"):
            if getattr(self, name) not in CHOICES[name]:
                raise InputError(f"{name}: expected {' or '.join(CHOICES[name])}, got {getattr(self, name)!r}")
        if self.frame < 0:
            raise InputError(f"frame: expected 0 or above, got {self.frame}")
        if self.uncertainty and self.uncertainty_kind == "variance" and not self.flips:
            raise InputError("uncertainty_kind: the variance is that between mirrored runs; set flips as well")
        if self.region is not None and (
            len(self.region) != 3 or any(not 0 <= start < stop for start, stop in self.region)
        ):
            raise InputError(f"region: expected (start, stop) along z, y, x with start below stop, got {self.region}")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PredictOptions:
        """Read what `to_json` wrote."""
        given = dict(data)
        if given.get("region") is not None:
            z, y, x = ((int(start), int(stop)) for start, stop in given["region"])
            given["region"] = (z, y, x)
        return cls(**given)


@dataclass(frozen=True)
class TrainOptions:
    """How to fine-tune a model on a dataset table.

    Parameters
    ----------
    epochs, steps_per_epoch, batch
        Amount of training; `steps_per_epoch` patches batches are drawn at random each epoch.
    learning_rate
        Adam's first learning rate; cosine decay to 1 % of it.
    seed
        Of patch sampling and augmentation.
    patience
        Stop after so many epochs without a better validation score; 0 never stops early.
    flips
        Array axes (0, 1, 2 = z, y, x of the model's grid) that may be mirrored: only where sides have no meaning.
    device
        As in `PredictOptions`.
    """

    epochs: int = 10
    steps_per_epoch: int = 20
    batch: int = 4
    learning_rate: float = 1e-4
    seed: int = 0
    patience: int = 0
    flips: tuple[int, ...] = ()
    device: Device = "auto"

    def __post_init__(self) -> None:
        for name, low, high in (("epochs", 1, 10_000), ("steps_per_epoch", 1, 100_000), ("batch", 1, 256)):
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name}: expected {low} to {high}, got {getattr(self, name)}")
        if not 0 < self.learning_rate <= 1:
            raise InputError(f"learning_rate: expected above 0 and at most 1, got {self.learning_rate}")
        if any(axis not in (0, 1, 2) for axis in self.flips):
            raise InputError(f"flips: expected axes among 0, 1, 2, got {self.flips}")


@dataclass(frozen=True)
class ExplainOptions:
    """How to ask why a model said that; sizes in mm are voxels where the voxel size is not known.

    Parameters
    ----------
    method
        A name in `core.saliency.METHODS`.
    target
        Name of the class whose score is explained; "" for the one the model gave (of a mask: the one asked about).
    negate
        Explain what spoke against it: the negative of the score.
    voxel
        Index (z, y, x) in the scan. Alone: the score of this voxel. With a mask in the request: of the connected
        component of the mask that holds it.
    layer
        Name of the layer to look at; "" chooses the last convolution (of a segmenter: the bottleneck). Names of
        layers in nested models are joined by "/".
    channel
        Of "feature-map": which channel.
    steps
        Of "integrated-gradients", at first: they double until the sum is complete within 1 %.
    baseline
        What Integrated Gradients compare with, and what occlusion fills in.
    samples, noise
        Of "smoothgrad": copies, and the standard deviation of the noise as a share of the range of values.
    patch_mm, stride_mm
        Of "occlusion": side of the patch and distance between patches; 0 chooses.
    supervoxels
        Occlude natural pieces (SLIC) instead of cubes.
    softmax_cam
        Of "score-cam": weights as in the paper (baseline subtracted, softmax) instead of plain normalised scores.
    seed
        Of everything that is drawn at random.
    device, frame, slices, ignore_fit
        As in `PredictOptions`.
    """

    method: str = "grad-cam"
    target: str = ""
    negate: bool = False
    voxel: tuple[int, int, int] | None = None
    layer: str = ""
    channel: int = 0
    steps: int = 64
    baseline: Literal["mean", "air", "blur", "black"] = "mean"
    samples: int = 20
    noise: float = 0.15
    patch_mm: float = 0.0
    stride_mm: float = 0.0
    supervoxels: bool = False
    softmax_cam: bool = True
    seed: int = 0
    device: Device = "auto"
    frame: int = 0
    slices: Slices = "card"
    ignore_fit: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"method: expected one of {', '.join(METHODS)}, got {self.method!r}")
        for name in ("device", "slices", "baseline"):
            if getattr(self, name) not in CHOICES[name]:
                raise InputError(f"{name}: expected {' or '.join(CHOICES[name])}, got {getattr(self, name)!r}")
        for name, low, high in (("steps", 2, 4096), ("samples", 2, 1000), ("frame", 0, 10**6), ("channel", 0, 10**6)):
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name}: expected {low} to {high}, got {getattr(self, name)}")
        if not 0 < self.noise <= 1:
            raise InputError(f"noise: expected above 0 and at most 1, got {self.noise}")
        if min(self.patch_mm, self.stride_mm) < 0:
            raise InputError(f"patch_mm, stride_mm: expected 0 or above, got {self.patch_mm}, {self.stride_mm}")
        if self.voxel is not None and (len(self.voxel) != 3 or min(self.voxel) < 0):
            raise InputError(f"voxel: expected an index z, y, x of 0 and above, got {self.voxel}")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ExplainOptions:
        """Read what `to_json` wrote."""
        given = dict(data)
        if given.get("voxel") is not None:
            z, y, x = (int(n) for n in given["voxel"])
            given["voxel"] = (z, y, x)
        return cls(**given)


def to_json(options: PredictOptions | TrainOptions | ExplainOptions) -> dict[str, Any]:
    """Return plain JSON types."""
    return {k: _plain(v) for k, v in asdict(options).items()}


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, tuple) else value
