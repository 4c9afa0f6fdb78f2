"""A program of somebody else's, for tests of command models: standard library, numpy and nibabel, nothing of ours.

    stub_program.py HOW INPUT OUTPUT [more words]

Marks what is brighter than the mean as class 3.  HOW says what goes wrong.  With the variable STUB_LOG it writes down
what it was given, its variables, and the process ids it had.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

NAME = "DOE^JANE"


def write(array, affine, path: Path, names: dict[int, str] | None = None) -> None:
    import nibabel

    image = nibabel.Nifti1Image(array, affine)
    if names:
        labels = "".join(
            f'<Label Key="{i}" Red="1" Green="0.5" Blue="0" Alpha="1"><![CDATA[{n}]]></Label>\n'
            for i, n in names.items()
        )
        text = (
            '<?xml version="1.0" encoding="UTF-8"?> <CaretExtension>  <Date><![CDATA[2013-07-14T05:45:09]]></Date>   '
            f'<VolumeInformation Index="0">   <LabelTable>\n{labels}\n  </LabelTable>  <VolumeType>'
            "<![CDATA[Label]]></VolumeType>   </VolumeInformation></CaretExtension>\n              "
        )
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, text.encode()))
    nibabel.save(image, path)


def main(how: str, source: Path, target: Path, more: list[str]) -> int:
    log = os.environ.get("STUB_LOG")
    pids = [os.getpid()]
    if how in ("hang", "leave"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        pids.append(subprocess.Popen([sys.executable, "-c", deaf]).pid)
    if log:
        record = {"words": more, "env": dict(os.environ), "pids": pids, "cwd": os.getcwd(), "source": str(source)}
        record["mode"] = oct(Path(source).parents[2].stat().st_mode)
        Path(log).write_text(json.dumps(record))
    if how == "hang":
        print("hanging", flush=True)
        time.sleep(600)
    if how == "nothing":
        print("I have no licence", file=sys.stderr)
        return 0
    if how == "die":
        print(f"patient {NAME}", file=sys.stderr)
        print("\x1b[31mout of luck\x1b[0m", file=sys.stderr)
        return 3
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "slow":
        for step in range(6):
            sys.stderr.write(f"\r{step * 20:3d}%|####   | part {step} of {NAME}")
            sys.stderr.flush()
            time.sleep(0.25)
    if how == "flood":
        line = b"x" * 1023 + b"\n"
        for _ in range(100 * 1024):
            os.write(2, line)

    import nibabel
    import numpy as np

    if how == "empty":
        target.write_bytes(b"")
        return 0
    image = nibabel.load(source)
    data = np.asarray(image.dataobj, dtype=float)
    found = np.where(data > data.mean(), 3, 0).astype(np.uint8)
    affine = image.affine
    if how == "flipped":  # another storage order of the same grid
        found = found[::-1].transpose(2, 0, 1)
        turn = np.zeros((4, 4))
        turn[0, 1], turn[1, 2], turn[2, 0], turn[3, 3] = -1, 1, 1, 1
        turn[0, 3] = data.shape[0] - 1
        affine = affine @ turn
    if how == "wrong grid":
        found = found[1:]
    if how == "shifted":
        affine = affine.copy()
        affine[0, 3] += 0.5
    if how == "no position":
        write(found, None, target)
        return 0
    if how == "floats":
        found = data / 7.0
    if how == "4d":
        found = np.stack([found, found], axis=-1)
    if how == "class files":
        for name, part in {"spleen": data > data.mean(), "liver": data < data.mean() - 300}.items():
            write((part * 255).astype(np.uint8), affine, target / f"{name}.nii.gz")
        return 0
    if how == "overlap":
        for name, part in {"a": data > 0, "b": data > 300}.items():
            write(part.astype(np.uint8), affine, target / f"{name}.nii.gz")
        return 0
    if how == "nnunet":
        count = len(list(source.parent.glob("case_????.nii.gz")))
        labels = {"background": 0, "left": 1, f"of {count} channels": 3}
        (target / "dataset.json").write_text(json.dumps({"labels": labels}))
        write(found, affine, target / "case.nii.gz")
        return 0
    write(found, affine, target, {1: "spleen", 3: "liver"} if how == "named" else None)
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--version"]:
        print("stub 1.2.3")
        print(f"for {NAME}")
        sys.exit(0)
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]))
