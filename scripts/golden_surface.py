"""Write tests/golden/surface.json: surface metrics of the shared pair of masks by DeepMind's surface-distance.

Runs in the oracle environment (make oracles). MONAI's numbers are added where MONAI is installed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))

import numpy as np  # noqa: E402
import surface_distance  # noqa: E402

from cases import ANISOTROPIC_MM, SURFACE_SPACING_MM, ball, surface_pair  # noqa: E402

TOLERANCES_MM = (0.5, 1.0, 2.0)


def cases() -> dict[str, tuple[np.ndarray, np.ndarray, tuple[float, float, float]]]:
    """Return name -> (reference, predicted, spacing); each is built by a formula in tests/cases.py."""
    reference, predicted = surface_pair()
    shape = (20, 40, 44)
    return {
        "surface_pair": (reference, predicted, SURFACE_SPACING_MM),
        "swapped": (predicted, reference, SURFACE_SPACING_MM),
        "identical": (reference, reference.copy(), SURFACE_SPACING_MM),
        "anisotropic_shift": (
            ball(shape, (9, 18, 20), 9.0, ANISOTROPIC_MM),
            ball(shape, (10, 20, 23), 8.0, ANISOTROPIC_MM),
            ANISOTROPIC_MM,
        ),
    }


def deepmind(reference: np.ndarray, predicted: np.ndarray, spacing: tuple[float, float, float]) -> dict[str, float]:
    distances = surface_distance.compute_surface_distances(reference, predicted, spacing)
    there, back = surface_distance.compute_average_surface_distance(distances)
    values = {
        "dice": surface_distance.compute_dice_coefficient(reference, predicted),
        "hd_mm": surface_distance.compute_robust_hausdorff(distances, 100),
        "hd95_mm": surface_distance.compute_robust_hausdorff(distances, 95),
        "mean_surface_distance_reference_to_predicted_mm": there,
        "mean_surface_distance_predicted_to_reference_mm": back,
    }
    for tolerance in TOLERANCES_MM:
        values[f"nsd_{tolerance:g}mm"] = surface_distance.compute_surface_dice_at_tolerance(distances, tolerance)
    return {name: float(value) for name, value in values.items()}


def monai(reference: np.ndarray, predicted: np.ndarray, spacing: tuple[float, float, float]) -> dict[str, float]:
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

    a, b = (torch.as_tensor(m[None, None].astype("uint8")) for m in (predicted, reference))
    values = {
        "hd_mm": compute_hausdorff_distance(a, b, include_background=True, spacing=spacing),
        "hd95_mm": compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=spacing),
        "assd_mm": compute_average_surface_distance(a, b, include_background=True, symmetric=True, spacing=spacing),
    }
    for tolerance in TOLERANCES_MM:
        values[f"nsd_{tolerance:g}mm"] = compute_surface_dice(
            a, b, [tolerance], include_background=True, spacing=spacing, use_subvoxels=True
        )
    return {name: float(value) for name, value in values.items()}


def main() -> int:
    path = REPOSITORY / "tests" / "golden" / "surface.json"
    path.parent.mkdir(exist_ok=True)
    kept = json.loads(path.read_text()) if path.exists() else {}
    names = ["surface-distance", "numpy", "scipy"]
    result: dict[str, object] = {
        "what": "two masks built by tests/cases.py; spacing and distances in mm, order z y x",
        "surface-distance": {name: deepmind(*case) for name, case in cases().items()},
    }
    if importlib.util.find_spec("monai"):
        names += ["monai", "torch"]
        result["monai"] = {name: monai(*case) for name, case in cases().items()}
    elif "monai" in kept:
        result["monai"] = kept["monai"]
    result["versions"] = kept.get("versions", {}) | {n: importlib.metadata.version(n) for n in names}
    path.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n")
    print(f"wrote {path.relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
