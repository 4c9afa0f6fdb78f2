"""Real child processes: every way an engine can end or misbehave, and the next run works (rows 46 to 50)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_medcnn import errors
from napari_medcnn.core.events import Failed, Progress, Result, result_of
from napari_medcnn.errors import Cancelled, EngineError, MissingExtraError, ModelError
from napari_medcnn.worker.client import Engine, Priority

SOURCE = Path(__file__).resolve().parents[2] / "src"
# Our own waits are at most these; a loaded machine gets slack on top, never on what is promised in seconds.
PATIENCE = 30.0


def run(engine: Engine, fake: dict | None = None, cancel: threading.Event | None = None, say: str = "hi"):
    return engine.run("echo", {"say": say, "fake": fake or {}}, cancel or threading.Event())


def wait_for(condition: Callable[[], bool], what: str) -> float:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < PATIENCE, what
        time.sleep(0.01)
    return time.monotonic() - started


def gone(pid: int) -> bool:
    """True once a process that is no child of ours has ended (a zombie counts: nobody here reaps it)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def until_running(events) -> None:
    """Take events until the job itself has reported."""
    for event in events:
        assert isinstance(event, Progress), event
        if event.message.startswith("Window"):
            return


def test_a_job_starts_the_process_and_the_next_uses_the_same(engine: Engine) -> None:
    assert engine.state == "off"
    first = result_of(run(engine))
    assert first["echo"] == "hi"
    assert engine.state == "ready"
    assert result_of(run(engine))["pid"] == first["pid"] == engine.pid != os.getpid()
    assert engine.hello["devices"] == ["cpu"]


def test_start_does_not_block_and_warms(engine: Engine) -> None:
    started = time.monotonic()
    engine.start()
    assert time.monotonic() - started < 0.5
    assert engine.state == "starting"
    wait_for(lambda: engine.state == "ready", "the engine never became ready")


def test_voxels_arrive(engine: Engine) -> None:
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)[:, ::-1]
    ref = engine.exchange.put(array, "scan")
    got = result_of(engine.run("total", {"array": ref.to_json()}, threading.Event()))
    assert got == {"sum": 1770.0, "dtype": "int16", "last": float(array[2, 3, 4])}


def test_progress_beats_and_comes_a_few_times_a_second(engine: Engine) -> None:
    result_of(run(engine))
    times, seen = [time.monotonic()], []
    for event in run(engine, {"slow": 1.5}):
        times.append(time.monotonic())
        seen.append(event)
    assert isinstance(seen[-1], Result)
    assert max(np.diff(times)) < 0.5  # promised: 0.25 s
    told = [e for e in dict.fromkeys(seen[:-1]) if isinstance(e, Progress) and e.fraction is not None]
    assert 3 <= len(told) <= 9  # 75 were reported
    assert [e.fraction for e in told] == sorted(e.fraction for e in told)


def test_kill_mid_run_is_noticed_at_once_and_the_next_run_works(engine: Engine) -> None:
    """Row 47, issue: SIGKILL of the engine mid-run."""
    events = run(engine, {"slow": 60})
    until_running(events)
    pid = engine.pid
    os.kill(pid, signal.SIGKILL)
    started = time.monotonic()
    last = [*events][-1]
    assert time.monotonic() - started < 1.0
    assert isinstance(last, Failed)
    assert isinstance(last.error, EngineError)
    assert (last.error.state, last.error.exit_code) == ("killed", -9)
    assert "next run" in str(last.error)
    assert engine.state == "crashed"
    assert result_of(run(engine))["pid"] != pid
    assert engine.state == "ready"


@pytest.mark.parametrize(
    ("fake", "state", "code"),
    [
        ({"crash": True}, "crashed", -signal.SIGABRT),
        ({"kill": True}, "killed", -9),
        ({"oom": True}, "out of memory", None),
    ],
)
def test_every_end_has_a_name_and_the_next_run_works(engine: Engine, fake: dict, state: str, code: int | None) -> None:
    with pytest.raises(EngineError) as caught:
        result_of(run(engine, fake))
    assert (caught.value.state, caught.value.exit_code) == (state, code)
    assert result_of(run(engine))["echo"] == "hi"


def test_the_last_words_are_kept(engine: Engine) -> None:
    with pytest.raises(EngineError) as caught:
        result_of(run(engine, {"crash": True}))
    assert "the fake engine aborts" in caught.value.stderr_tail
    assert "the fake engine aborts" in engine.log
    files = list((Path(os.environ["MEDCNN_HOME"]) / "logs").glob("engine-*.log"))
    assert any("the fake engine aborts" in f.read_text() for f in files)


def test_a_crash_takes_no_other_job_with_it(engine: Engine) -> None:
    results = {}

    def work(name: str, fake: dict) -> None:
        try:
            results[name] = result_of(run(engine, fake, say=name))["echo"]
        except EngineError as error:
            results[name] = error.state

    threads = [threading.Thread(target=work, args=("bad", {"slow": 0.5, "crash": True}))]
    threads[0].start()
    wait_for(lambda: engine.state == "busy", "never busy")
    threads += [threading.Thread(target=work, args=(f"good{i}", {})) for i in range(3)]
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert results == {"bad": "crashed", "good0": "good0", "good1": "good1", "good2": "good2"}


def test_cancel_within_a_second_keeps_the_process(engine: Engine) -> None:
    cancel = threading.Event()
    events = run(engine, {"slow": 60}, cancel)
    until_running(events)
    pid, started = engine.pid, time.monotonic()
    cancel.set()
    last = [*events][-1]
    assert time.monotonic() - started < 1.0
    assert isinstance(last, Failed)
    assert isinstance(last.error, Cancelled)
    assert result_of(run(engine))["pid"] == pid


def test_cancel_of_deaf_work_kills_after_two_seconds(engine: Engine) -> None:
    result_of(run(engine))
    cancel, pid = threading.Event(), engine.pid
    events = run(engine, {"deaf": 60}, cancel)
    next(events)
    wait_for(lambda: engine.state == "busy", "never busy")
    started = time.monotonic()
    cancel.set()
    last = [*events][-1]
    assert isinstance(last, Failed)
    assert isinstance(last.error, Cancelled)
    assert 1.9 < time.monotonic() - started < 3.0
    assert gone(pid)
    assert result_of(run(engine))["pid"] != pid


def test_closing_the_generator_cancels(engine: Engine) -> None:
    """Row 46: the viewer closes mid-run."""
    events = run(engine, {"slow": 60})
    until_running(events)
    pid = engine.pid
    events.close()
    assert wait_for(lambda: engine.state == "ready", "the work went on") < 1.0
    assert result_of(run(engine))["pid"] == pid


def test_a_job_cancelled_before_its_turn_never_runs(engine: Engine) -> None:
    first = run(engine, {"slow": 1})
    until_running(first)
    cancel = threading.Event()
    second = run(engine, {"crash": True}, cancel)
    next(second)
    cancel.set()
    assert isinstance([*second][-1].error, Cancelled)
    assert isinstance([*first][-1], Result)


def test_click_before_run_before_prefetch(engine: Engine) -> None:
    result_of(run(engine))
    blocker = run(engine, {"slow": 4.0})  # long enough for all three to queue on a busy machine
    next(blocker)
    done: list[str] = []

    def work(name: str, priority: Priority) -> None:
        events = engine.run("echo", {"say": name, "fake": {"slow": 1.0}}, threading.Event(), priority)
        try:
            done.append(result_of(events)["echo"])
        except Cancelled:
            done.append(f"{name} gave way")

    threads = []
    queue = (("prefetch", Priority.PREFETCH, 1), ("run", Priority.RUN, 1), ("click", Priority.CLICK, 2))
    for name, priority, waiting in queue:  # the prefetch gives way to the run
        threads.append(threading.Thread(target=work, args=(name, priority)))
        threads[-1].start()
        wait_for(lambda n=waiting: len(engine._waiting) >= n, "not queued")
        time.sleep(0.05)
    result_of(blocker)
    for thread in threads:
        thread.join(PATIENCE)
    assert done == ["prefetch gave way", "click", "run"]


def test_a_running_prefetch_gives_way(engine: Engine) -> None:
    prefetch = engine.run("echo", {"fake": {"slow": 60}}, threading.Event(), Priority.PREFETCH)
    until_running(prefetch)
    started = time.monotonic()
    assert result_of(run(engine))["echo"] == "hi"
    assert time.monotonic() - started < 1.0
    assert isinstance([*prefetch][-1].error, Cancelled)


def test_stray_prints_break_no_frame(engine: Engine) -> None:
    assert result_of(run(engine, {"print": True}))["echo"] == "hi"
    wait_for(lambda: "and one past Python" in engine.log, "the print was lost")
    assert "a stray line" in engine.log


def test_late_answers_are_dropped(engine: Engine) -> None:
    result_of(run(engine))
    assert "late" not in result_of(run(engine, {"late": True}))


@pytest.mark.parametrize("name", ["ModelError", "InputError", "UnsafeModelError", "MissingExtraError"])
def test_named_errors_keep_their_class(engine: Engine, name: str) -> None:
    with pytest.raises(getattr(errors, name), match="as ordered"):
        result_of(run(engine, {"error": name}))
    assert engine.state == "ready"


def test_mistakes_become_words_and_the_traceback_goes_to_the_log(engine: Engine) -> None:
    with pytest.raises(EngineError, match="could not finish 'echo': ValueError: a mistake") as caught:
        result_of(run(engine, {"error": "no such class"}))
    assert "Traceback" not in str(caught.value)
    wait_for(lambda: "Traceback" in engine.log, "no traceback in the log")


def test_scores_that_are_no_numbers_are_a_model_error(engine: Engine) -> None:
    """Row 50."""
    with pytest.raises(ModelError, match="not numbers"):
        result_of(run(engine, {"nan": True}))


def test_an_unknown_verb_and_a_body_that_is_no_json_are_named(engine: Engine) -> None:
    with pytest.raises(EngineError, match="does not know 'fly'"):
        result_of(engine.run("fly", {}, threading.Event()))
    with pytest.raises(errors.InputError, match="request: expected plain"):
        result_of(engine.run("echo", {"say": float("nan")}, threading.Event()))
    assert result_of(run(engine))["echo"] == "hi"


def test_release_ends_the_process_and_gives_memory_back(engine: Engine) -> None:
    result_of(run(engine, {"memory": 100}))
    pid = engine.pid
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident > 100 * 2**20
    started = time.monotonic()
    engine.release()
    assert time.monotonic() - started < 0.1
    assert engine.state == "off"
    wait_for(lambda: gone(pid), "the process lives on")
    assert time.monotonic() - started < 1.5
    assert result_of(run(engine))["pid"] != pid


def test_release_mid_run_cancels(engine: Engine) -> None:
    events = run(engine, {"slow": 60})
    until_running(events)
    engine.release()
    assert isinstance([*events][-1].error, Cancelled)


def test_release_while_starting_leaves_no_process(engine: Engine) -> None:
    others = set(children())
    for _ in range(5):
        engine.start()
        engine.release()
    assert result_of(run(engine))["echo"] == "hi"
    mine = [p for p in children() if p != engine.pid and p not in others]
    wait_for(lambda: all(gone(p) for p in mine), "an engine was left behind")


def children() -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{os.getpid()}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that just ended
            found += [int(p) for p in (thread / "children").read_text().split()]
    return found


def test_an_idle_engine_ends(make_engine) -> None:
    engine = make_engine(idle_minutes=0.5 / 60)
    result_of(run(engine))
    pid = engine.pid
    result_of(run(engine, {"slow": 1.0}))  # longer than the limit, but not idle
    assert engine.pid == pid
    assert wait_for(lambda: engine.state == "off", "still there") > 0.2
    wait_for(lambda: gone(pid), "the process lives on")
    assert result_of(run(engine))["echo"] == "hi"


def test_close_waits_and_removes_the_folder(make_engine) -> None:
    engine = make_engine()
    ref = engine.exchange.put(np.ones(5), "scan")
    result_of(run(engine))
    pid = engine.pid
    engine.close()
    assert gone(pid)
    assert not Path(ref.path).parent.exists()
    with pytest.raises(EngineError, match="closed"):
        result_of(run(engine))


PARENT = """
import os, sys, threading, time
sys.path[:0] = {paths!r}
import fake_engine
from napari_medcnn.worker.client import Engine
engine = Engine(fake_engine.launch())
for event in engine.run("echo", {{"fake": {{"{kind}": 60}}}}, threading.Event()):
    if engine.state == "busy":
        print(engine.pid, engine.exchange.folder, flush=True)
        time.sleep(0.3)
        os._exit(1)
"""


@pytest.mark.parametrize("kind", ["slow", "deaf"])
def test_the_end_of_the_parent_ends_the_child_even_mid_work(kind: str, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(paths=[str(SOURCE), str(SOURCE.parent / "tests")], kind=kind))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=PATIENCE, check=False)
    pid, folder = done.stdout.split()
    assert wait_for(lambda: gone(int(pid)), "the child outlived its parent") < 1.0
    # what it could not remove itself goes when the next exchange is made
    from napari_medcnn.worker.arrays import remove_stale

    remove_stale(Path(folder).parent)
    assert not Path(folder).exists()


def test_without_tensorflow_the_one_command_is_named(make_engine, orders) -> None:
    """Row 48."""
    engine = make_engine(orders=orders(missing=True))
    with pytest.raises(MissingExtraError, match=r'pip install "napari-medcnn\[engine\]"'):
        result_of(run(engine))
    assert engine.state == "off"
    orders()  # installed meanwhile
    assert result_of(run(engine))["echo"] == "hi"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"interpreter": "/no/such/python"}, "cannot be started"),
        ({"module": "no_such_engine"}, "did not start .*no_such_engine"),
        ({"module": "this", "start_seconds": 5}, "did not start"),
    ],
)
def test_an_engine_that_cannot_start_is_named_and_never_hangs(make_engine, options: dict, words: str) -> None:
    engine = make_engine(**options)
    with pytest.raises(EngineError, match=words) as caught:
        result_of(run(engine))
    assert caught.value.state == "not started"
    assert engine.state == "crashed"


def test_an_engine_that_never_says_hello_is_given_up(make_engine, tmp_path: Path) -> None:
    (tmp_path / "silent.py").write_text("import time\ntime.sleep(60)\n")
    engine = make_engine(module="silent", environment={"PYTHONPATH": str(tmp_path)}, start_seconds=0.5)
    with pytest.raises(EngineError, match="did not start"):
        result_of(run(engine))
