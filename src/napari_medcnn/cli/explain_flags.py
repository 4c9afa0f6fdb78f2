"""The flags of ``medcnn explain``; light, so that --help answers at once."""

from __future__ import annotations

import argparse

from napari_medcnn.core.options import CHOICES
from napari_medcnn.core.saliency import METHODS

#: Numbers with a flag of the same name: their type and what the help says.
NUMBERS: dict[str, tuple[type, str]] = {
    "channel": (int, "of feature-map: which channel of the layer"),
    "steps": (int, "of integrated-gradients: steps at first"),
    "samples": (int, "of smoothgrad: noisy copies"),
    "noise": (float, "of smoothgrad: standard deviation, a share of the range of values"),
    "patch_mm": (float, "of occlusion: side of the patch; 0 chooses"),
    "stride_mm": (float, "of occlusion: distance between patches; 0 chooses"),
    "seed": (int, "of everything drawn at random"),
    "frame": (int, "time point of a 4D scan, from 0"),
}


def add_flags(added: argparse.ArgumentParser) -> None:
    """Add what ``medcnn explain`` takes, but for what the user agrees to."""
    added.add_argument("-m", "--model", required=True, metavar="MODEL", help="name or path of a model package")
    added.add_argument("input", metavar="IN", help="a file or DICOM folder; channels of one case: 'A|B'")
    out = "the map: .nii.gz (or .nii, .nrrd, .mha) raw values on the scan's grid, .png one slice, .html a page"
    added.add_argument("-o", "--out", required=True, metavar="OUT", help=out)
    added.add_argument("--method", choices=list(METHODS), default="grad-cam", help="default: grad-cam")
    added.add_argument("--item", metavar="ID", help="which item, if IN holds several")
    added.add_argument("--ignore-fit", action="store_true", help="run although the scan looks unlike the training data")
    asked = added.add_argument_group("what is asked")
    asked.add_argument("--target", metavar="CLASS", help="the class (default: the one the model gives)")
    asked.add_argument("--negate", action="store_true", help="what spoke against it")
    asked.add_argument(
        "--mask", metavar="FILE", help="sum the score over this mask (with --voxel: over one piece of it)"
    )
    asked.add_argument("--voxel", metavar="Z,Y,X", help="the score of one voxel, an index from 0")
    asked.add_argument("--layer", metavar="NAME", help="look at this layer (an unknown one lists them)")
    told = added.add_argument_group("whether to believe it (docs/saliency.md)")
    told.add_argument("--check", action="store_true", help="find out whether the map depends on what the model learned")
    told.add_argument("--reference", metavar="FILE", help="a mask that a person drew to compare with; implies --check")
    told.add_argument("--names", action="store_true", help="the page may name the file")
    how = added.add_argument_group("how it runs")
    how.add_argument("--device", choices=CHOICES["device"], default="auto")
    how.add_argument("--slices", choices=CHOICES["slices"], default="card", help="which slices a 2D model sees")
    how.add_argument(
        "--baseline",
        choices=CHOICES["baseline"],
        help="the plain image to compare with, and to fill in (default: mean)",
    )
    how.add_argument("--supervoxels", action="store_true", help="of occlusion: natural pieces instead of cubes")
    for name, (kind, words) in NUMBERS.items():
        how.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help=words)
