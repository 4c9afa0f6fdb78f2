"""A real process paints and is killed at a random moment: what it had painted comes back (row 37)."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cases import REPOSITORY
from napari_medcnn.annotation.recovery import find_recoverable

HERE = Path(__file__).parent
CHILD = HERE / "journal_child.py"
LOST_SECONDS = 2.0


def child_functions():
    sys.path.insert(0, str(HERE))
    try:
        import journal_child
    finally:
        sys.path.remove(str(HERE))
    return journal_child


def kill_once(folder: Path, seed: int) -> float:
    """Kill a painting process and compare; return how many seconds of work were lost."""
    rng = random.Random(seed)
    pause = rng.choice([0.0, 0.002, 0.01, 0.05])
    command = [sys.executable, str(CHILD), str(folder), str(seed), str(pause)]
    log = folder / "painted.txt"
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, cwd=REPOSITORY)
        try:
            limit = time.monotonic() + 60
            while not log.stat().st_size:
                assert time.monotonic() < limit, "the child never painted"
                assert process.poll() is None, "the child ended by itself"
                time.sleep(0.005)
            # Inside the first milliseconds as often as after several syncs.
            time.sleep(rng.choice([rng.uniform(0, 0.05), rng.uniform(0, 3.5)]))
            assert find_recoverable(folder) == [], "the journal of a live process was offered"
        finally:
            process.kill()  # SIGKILL on POSIX, TerminateProcess on Windows
            killed = time.monotonic()
            process.wait()
    painted = [line.split() for line in log.read_text().splitlines() if line.count(" ") == 1]
    painted = [(int(number), float(when)) for number, when in painted if when.count(".") == 1]
    found = find_recoverable(folder)
    recovered = found[0].steps if found else 0
    lost = [when for number, when in painted if number > recovered]
    if found:
        child = child_functions()
        expected = child.base(seed)
        for number in range(recovered):
            child.stroke(expected, seed, number)
        mask = found[0].restore()
        assert np.array_equal(mask.array, expected), "not a prefix of what was painted"
        assert mask.geometry.origin_lps == (-12.5, 7.25, 100.1)
        assert mask.labels.name_of(1) == "liver"
        found[0].discard()
    assert find_recoverable(folder) == []
    return max((killed - when for when in lost), default=0.0)


def kills(tmp_path: Path, count: int, first_seed: int) -> None:
    losses = []
    for seed in range(first_seed, first_seed + count):
        folder = tmp_path / str(seed)
        folder.mkdir()
        losses.append(kill_once(folder, seed))
    print(f"{count} kills: longest loss {max(losses):.3f} s, {sum(x > 0 for x in losses)} lost anything")
    assert max(losses) <= LOST_SECONDS


@pytest.mark.slow
def test_ten_kills_lose_at_most_two_seconds(tmp_path: Path) -> None:
    kills(tmp_path, 10, 0)


@pytest.mark.proof
@pytest.mark.timeout(3000)
def test_two_hundred_kills_lose_at_most_two_seconds(tmp_path: Path) -> None:
    kills(tmp_path, 200, 1000)
