"""A process that opens damaged files one after the other and says on stdout how each went.

Arguments: folder of seeds, first job, how many files a format, names of formats.  It may die of what
it opens: that is what the parent wants to know, and the last line tells which file it was.
"""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import json
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from pathlib import Path

import numpy as np

from mutation_seeds import mutated
from napari_medcnn.core.consent import Consent
from napari_medcnn.errors import ConsentNeededError, MedcnnError
from napari_medcnn.io.read import inspect, read

_ADDRESSES = 8 << 30
_AGREED = {
    "resample": Consent(resample=True),
    "duplicates": Consent(duplicates="first"),
    "damaged": Consent(damaged=True),
    "complex_part": Consent(complex_part="magnitude"),
    "unnumbered": Consent(unnumbered=True),
}


def open_all(path: Path) -> str:
    """Look at `path` and read everything in it; return "read" or the name of the last error."""
    outcome = "empty"
    try:
        found = inspect(path)
    except MedcnnError as error:
        _worded(error)
        return type(error).__name__
    for item in found.items:
        try:
            value = read(path, item.id)
            np.asarray(value.array).max(initial=0)
            outcome = "read"
        except ConsentNeededError as error:
            _worded(error)
            outcome = type(error).__name__
            if error.asks in _AGREED:
                with contextlib.suppress(MedcnnError):
                    read(path, item.id, _AGREED[error.asks])
        except MedcnnError as error:
            _worded(error)
            outcome = type(error).__name__
    return outcome


def _worded(error: MedcnnError) -> None:
    """A named error has words that fit on a screen and hold no control characters."""
    text = str(error)
    if not 10 < len(text) < 2000 or any(ord(c) < 32 and c != "\n" for c in text):
        raise ValueError(f"unfit message of {len(text)} characters: {text[:200]!r}") from error


def main(seeds: Path, first: int, count: int, names: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable()
    warnings.simplefilter("ignore")
    table = json.loads((seeds / "seeds.json").read_text())
    jobs = list(itertools.product(names, range(-1, count)))
    with tempfile.TemporaryDirectory() as scratch:
        for job in range(first, len(jobs)):
            name, number = jobs[job]
            target, opened = _laid_out(seeds, table[name], Path(scratch) / name)
            data = (seeds / table[name]["target"]).read_bytes()
            rng = np.random.default_rng([zlib.crc32(name.encode()), number + 1])
            target.write_bytes(data if number < 0 else mutated(data, rng))
            _say({"begin": job})
            started = time.process_time()
            try:
                outcome, trace = open_all(opened), ""
            except BaseException as error:
                outcome, trace = f"UNNAMED {type(error).__name__}: {error}"[:300], traceback.format_exc()[-1500:]
            seconds = round(time.process_time() - started, 2)
            _say({"end": job, "outcome": outcome, "trace": trace, "cpu_s": seconds, "rss_mb": _peak_mb()})


def _laid_out(seeds: Path, seed: dict[str, str], folder: Path) -> tuple[Path, Path]:
    """Copy a seed's folder once; return the file to be damaged and what is opened."""
    if not folder.exists():
        shutil.copytree(seeds / seed["folder"], folder)
    return tuple(folder / Path(seed[key]).relative_to(seed["folder"]) for key in ("target", "opened"))


def _peak_mb() -> int:
    """The peak of this process: Linux hands `ru_maxrss` of the parent down, but not VmHWM."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _say(message: dict[str, object]) -> None:
    os.write(1, (json.dumps(message) + "\n").encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
