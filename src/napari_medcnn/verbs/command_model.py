"""Run a program that the user has as a model: hand the scan over as NIfTI, listen, read the mask back.

The program gets a private folder with the scan under a name that says nothing; the folder goes with the run, however
it ends. What the program prints is shown while it runs and kept nowhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from napari_medcnn import __version__
from napari_medcnn.core import paths
from napari_medcnn.core.command import CommandModel, filled, placeholders
from napari_medcnn.core.events import Cancel, Event, Events, Progress, Result
from napari_medcnn.core.fit import check_fit
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.options import PredictOptions, to_json
from napari_medcnn.core.results import FitItem, Provenance, Segmentation
from napari_medcnn.core.spec import Decision, Fingerprint, ModelSpec, Preparation
from napari_medcnn.core.volume import Volume
from napari_medcnn.errors import EngineError, InputError
from napari_medcnn.io.commands import command_json
from napari_medcnn.io.found import plain
from napari_medcnn.io.save import save_volume
from napari_medcnn.verbs.command_output import MASK, Answer, read_answer
from napari_medcnn.verbs.guard import Steps, guarded, stop_if
from napari_medcnn.verbs.predict import one_frame, refuse_misfit
from napari_medcnn.verbs.scan_record import scan_record, voxel_sha256
from napari_medcnn.worker.arrays import remove_stale
from napari_medcnn.worker.program import Program, own_environment

#: Between the plain error and what the program said last, which is for the eyes of the user and for no file.
SAID = " It said last:\n"
_LOOK_S = 0.1
_VERSION_S = 60.0
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?)\s?%")
#: What a program of somebody else's cannot be told; device, frame and ignore_fit it can.
_NOT_ASKED = ("probabilities", "flips", "region", "slices", "coarse", "engine", "precision")


@dataclass(frozen=True)
class FoundProgram:
    """The program on this computer: full path, sha256 of the file, first line of what it says of its version."""

    path: Path
    sha256: str
    version: str = ""


@dataclass(frozen=True)
class CommandRequest:
    """Run `command` on `volume`; `program`, if several scans are run, is what `look_up` found for the first."""

    volume: Volume
    command: CommandModel
    options: PredictOptions = field(default_factory=PredictOptions)
    program: FoundProgram | None = None


@dataclass(frozen=True)
class _Job:
    request: CommandRequest
    volume: Volume
    fit: tuple[FitItem, ...]
    program: FoundProgram
    folder: Path

    @property
    def command(self) -> CommandModel:
        return self.request.command


@guarded
def run(request: CommandRequest, cancel: Cancel) -> Events:
    """Run the program; the result is a Segmentation on the scan's own grid, named by what the program names.

    Fails with
    ----------
    InputError
        The scan does not suit it, an option has no meaning for it, or it is not installed.
    EngineError
        It ended with an error; the message ends with what it said last.
    ModelError
        It wrote nothing, no mask, or a mask on another grid.
    Cancelled
        The user stopped; the program and all it started are ended.
    """
    stop_if(cancel)
    command = request.command
    refuse_options(command, request.options)
    volume = one_frame(request.volume, request.options.frame)
    fit = fit_of(command, volume)
    refuse_misfit(fit, request.options)
    started = time.monotonic()
    with _private_folder() as folder:
        program = request.program or (yield from _look_up(command, folder, cancel))
        job = _Job(request, volume, fit, program, folder)
        yield Progress(0.0, "Writing the scan for the program")
        _write_scan(job)
        handed = time.monotonic()
        yield from _run(job, cancel)
        ended = time.monotonic()
        yield Progress(1.0, "Reading the mask")
        answer = read_answer(command, folder / "work" / "output", volume.geometry)
    seconds = {"load": handed - started, "forward": ended - handed, "rest": time.monotonic() - ended}
    left = (f"The temporary folder {folder} could not be removed; remove it by hand.",) if folder.exists() else ()
    yield Result(_segmentation(job, answer, left, {k: round(v, 3) for k, v in seconds.items()}))


@guarded
def look_up(command: CommandModel, cancel: Cancel) -> Events:
    """Find the program and ask its version; the result is a `FoundProgram`, to run on several scans with."""
    with _private_folder() as folder:
        yield Result((yield from _look_up(command, folder, cancel)))


def definition_sha256(command: CommandModel, program: FoundProgram) -> str:
    """Return one hash of description, program file and version: another one means other masks are to be expected."""
    text = json.dumps([command_json(command), program.sha256, program.version], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def refuse_options(command: CommandModel, options: PredictOptions) -> None:
    """Raise `InputError` naming the options that a program of somebody else's cannot be told."""
    plain_options = PredictOptions()
    set_ones = [name for name in _NOT_ASKED if getattr(options, name) != getattr(plain_options, name)]
    if set_ones:
        raise InputError(
            f"{', '.join(set_ones)}: {command.name} runs your program, which cannot be told that; leave it out, or put "
            "the program's own option into its arguments."
        )


def fit_of(command: CommandModel, volume: Volume) -> tuple[FitItem, ...]:
    """Compare a scan with what the description of a command states: channels, a volume, modality, real values."""
    spec = ModelSpec(
        name=command.name,
        title=command.title,
        task="segmentation",
        preparation=Preparation(3, len(command.channels)),
        labels=LabelSet(),
        decision=Decision((0,), True),
        activation="none",
        tile=(1, 1, 1),
        fingerprint=Fingerprint(modalities=command.modalities),
    )
    fit = check_fit(volume, spec)
    if volume.geometry.orientation_known:
        return fit
    return (*fit, FitItem("warn", "Orientation", "The file does not say where left is; the program has to assume it."))


def _look_up(command: CommandModel, folder: Path, cancel: Cancel) -> Generator[Event, None, FoundProgram]:
    environment = own_environment(os.environ, dict(command.environment))
    path = _program_path(command, environment)
    version = ""
    if command.version_arguments:
        yield Progress(None, "Asking the program for its version")
        with Program([str(path), *command.version_arguments], folder, environment) as program:
            code, until = None, time.monotonic() + _VERSION_S
            while code is None and time.monotonic() < until:
                stop_if(cancel)
                code = program.wait(_LOOK_S)
            version = plain(program.first_line(), 120) if code == 0 else ""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            stop_if(cancel)
            digest.update(block)
    return FoundProgram(path, digest.hexdigest(), version)


def _program_path(command: CommandModel, environment: dict[str, str], platform: str = sys.platform) -> Path:
    written = os.path.expanduser(command.program)
    if os.path.dirname(written) and not os.path.isabs(written):
        raise InputError(f"{command.program}: expected a name on PATH or a full path; correct it in commands.yaml")
    found = shutil.which(written, path=environment.get("PATH"))
    if found is None or not os.path.isabs(found):  # never one that happens to lie in the current folder
        raise InputError(
            f"{command.program}: there is no such program here; install it, or write its full path into the arguments "
            f"of {command.name} in commands.yaml"
        )
    if platform == "win32" and Path(found).suffix.lower() in (".bat", ".cmd"):
        raise InputError(f"{command.program}: a batch file passes its arguments through a shell; name the .exe itself")
    return Path(found)


@contextmanager
def _private_folder() -> Iterator[Path]:
    """Yield a folder only the user can enter; removed at the end, or by a later run if this process is killed."""
    remove_stale(Path(tempfile.gettempdir()))
    folder = paths.exchange()
    try:
        folder.chmod(0o700)
        (folder / "owner").write_text(str(os.getpid()), encoding="ascii")
        for name in ("input", "output", "tmp"):
            (folder / "work" / name).mkdir(parents=True)
        yield folder
    finally:
        for _ in range(3):  # on Windows a program that was just killed may hold a file for a moment
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(0.1)


def _write_scan(job: _Job) -> None:
    """Write one file per channel.  What a file does not state is stated here, so that the mask can be matched."""
    geometry = replace(job.volume.geometry, spacing_known=True, orientation_known=True)
    for channel in range(job.volume.channels):
        array = job.volume.array[..., channel] if job.volume.axes.endswith("c") else job.volume.array
        save_volume(Volume(array, geometry), job.folder / "work" / "input" / f"case_{channel:04d}.nii.gz")


def _run(job: _Job, cancel: Cancel) -> Steps:
    """Run the program to its end, saying what it says."""
    command, work = job.command, job.folder / "work"
    values = {
        "input": str(work / "input" / "case_0000.nii.gz"),
        "input_folder": str(work / "input"),
        "output": str(work / "output" / MASK),
        "output_folder": str(work / "output"),
        "folder": str(work),
        "device": command.device_word(job.request.options.device),
        "user": f"{os.getuid()}:{os.getgid()}" if hasattr(os, "getuid") else "0:0",
        **{f"input_{n + 1}": str(work / "input" / f"case_{n:04d}.nii.gz") for n in range(len(command.channels))},
    }
    arguments = [str(job.program.path), *(filled(argument, values) for argument in command.arguments[1:])]
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(work / "tmp"))
    environment = own_environment(os.environ, {**temporary, **dict(command.environment)})
    yield Progress(0.0, f"{plain(command.title)}: starting")
    with Program(arguments, work, environment) as program:
        said, code = "", None
        while code is None:
            stop_if(cancel)
            code = program.wait(_LOOK_S)
            if program.last_line != said:
                said = program.last_line
                yield Progress(percentage(said), plain(said, 120))
        stop_if(cancel)
        if code != 0:
            raise _died(command, code, program.last_words())


def percentage(line: str) -> float | None:
    """Return the last percentage a line names as a share of 1, None if it names none from 0 to 100."""
    found = [float(text) for text in _PERCENT.findall(line)]
    return found[-1] / 100 if found and found[-1] <= 100 else None


def _died(command: CommandModel, code: int, words: str) -> EngineError:
    if code < 0:
        name = next((s.name for s in signal.Signals if s.value == -code), str(-code))
        how = f"was killed by the system ({name})"
        how += "; perhaps there was not enough memory" if name == "SIGKILL" else ""
    else:
        how = f"ended with exit code {code}"
    cut = "\n".join(plain(line, 300) for line in words.splitlines())
    tail = f"{SAID}{cut}" if cut else " It said nothing."
    state = "killed" if code < 0 else "crashed"
    return EngineError(f"{plain(command.title)} {how}; no mask was read.{tail}", state, code, cut)


def _segmentation(job: _Job, answer: Answer, left: tuple[str, ...], seconds: dict[str, float]) -> Segmentation:
    warnings = (*answer.warnings, *left)
    return Segmentation(
        mask=answer.mask,
        scores={},
        provenance=_provenance(job, warnings, seconds),
        fit=job.fit,
        warnings=warnings,
    )


def _provenance(job: _Job, warnings: tuple[str, ...], seconds: dict[str, float]) -> Provenance:
    """Say how the mask was made: the arguments with their placeholders, never what was filled in."""
    command, options = job.command, job.request.options
    asked = any("device" in placeholders(argument) for argument in command.arguments)
    versions = {"napari-medcnn": __version__}
    if job.program.version:
        versions[command.name] = job.program.version
    given = to_json(options)
    return Provenance(
        model={
            "name": command.name,
            "title": command.title,
            "kind": "program of the user",
            "arguments": list(command.arguments),
            "environment": [name for name, _ in command.environment],
            "sha256": definition_sha256(command, job.program),
            "program_sha256": job.program.sha256,
            "licence": command.licence,
        },
        options={f.name: given[f.name] for f in fields(options) if f.name in ("device", "frame", "ignore_fit")},
        versions=versions,
        device=f"{job.program.path.name}, {command.device_word(options.device)}" if asked else job.program.path.name,
        input=scan_record(job.volume, voxel_sha256(job.volume)),
        time=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        seconds=seconds,
        notes=tuple(f"{i.topic}: {i.text}" for i in job.fit if i.level != "ok") + warnings,
    )
