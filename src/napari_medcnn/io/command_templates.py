"""Ready descriptions of programs that people have; words in capitals are theirs to fill in.

Options as the programs document them: TotalSegmentator 2 (with ``--ml`` the output is a file, its class names stand in
the header), nnU-Net 2 (``nnUNetv2_predict``; names in the ``dataset.json`` it copies beside its masks).
"""

from __future__ import annotations

from typing import Any

_TOTAL = {
    "output": "file",
    "devices": {"auto": "gpu", "cpu": "cpu", "gpu": "gpu"},
    "version_arguments": ["--version"],
    "note": (
        "Install it in an environment of its own and write the full path of TotalSegmentator here if it is not on "
        "PATH. It downloads its weights before the first run and sends usage statistics unless send_usage_stats is "
        "false in ~/.totalsegmentator/config.json."
    ),
}
_OPEN = "Code Apache-2.0; the weights of this task are open for any use. Other tasks need a licence of their own."

TEMPLATES: tuple[dict[str, Any], ...] = (
    {
        "name": "totalsegmentator",
        "title": "TotalSegmentator, CT",
        "arguments": ["TotalSegmentator", "-i", "{input}", "-o", "{output}", "--ml", "--device", "{device}"],
        "modalities": ["CT"],
        "licence": _OPEN,
        **_TOTAL,
    },
    {
        "name": "totalsegmentator-fast",
        "title": "TotalSegmentator, CT, fast (3 mm)",
        "arguments": ["TotalSegmentator", "-i", "{input}", "-o", "{output}", "--ml", "--fast", "--device", "{device}"],
        "modalities": ["CT"],
        "licence": _OPEN,
        **_TOTAL,
    },
    {
        "name": "totalsegmentator-mr",
        "title": "TotalSegmentator, MR",
        "arguments": [
            "TotalSegmentator", "-i", "{input}", "-o", "{output}", "--ml", "--task", "total_mr", "--device", "{device}"
        ],
        "modalities": ["MR"],
        "licence": _OPEN,
        **_TOTAL,
    },
    {
        "name": "nnunet",
        "title": "nnU-Net, DATASET",
        "arguments": [
            "nnUNetv2_predict", "-i", "{input_folder}", "-o", "{output_folder}", "-d", "DATASET", "-c", "3d_fullres",
            "-device", "{device}",
        ],
        "output": "nnunet",
        "environment": {"nnUNet_results": "FOLDER_OF_NNUNET_RESULTS"},
        "channels": ["scan"],
        "devices": {"auto": "cuda", "cpu": "cpu", "gpu": "cuda"},
        "licence": "Code Apache-2.0; the weights are yours or have the licence of whoever trained them.",
        "note": (
            "One entry in channels for each channel of the dataset, in its order. Without a GPU write cpu for auto. "
            "Add -f 0 or -f all if not all five folds were trained."
        ),
    },
    {
        "name": "container",
        "title": "PROGRAM in a container",
        "arguments": [
            "docker", "run", "--rm", "--init", "--network", "none", "--user", "{user}", "-v", "{folder}:/data", "IMAGE",
            "PROGRAM", "-i", "/data/input/case_0000.nii.gz", "-o", "/data/output/mask.nii.gz",
        ],
        "output": "file",
        "licence": "That of the image and of the weights in it.",
        "note": (
            "The container sees one folder, /data, and no network. --init lets it end when the run is cancelled. Add "
            "--gpus all before -v where it needs the GPU."
        ),
    },
)  # fmt: skip
