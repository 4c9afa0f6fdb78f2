"""Arguments in, exit code out."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Protocol

from napari_medcnn import __version__
from napari_medcnn.cli.explain_flags import add_flags
from napari_medcnn.cli.terminal import complain
from napari_medcnn.core.options import CHOICES
from napari_medcnn.errors import Cancelled, ConsentNeededError, MedcnnError

DONE, PROBLEM, INTERRUPTED = 0, 1, 130


class Add(Protocol):
    """Adds one command to the parser."""

    def __call__(self, name: str, handler: str, text: str, as_json: bool = False) -> argparse.ArgumentParser:
        """Return the parser of the command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        args = _parser().parse_args(argv)
    except SystemExit as end:  # argparse has said what is wrong, or printed the help
        return end.code if isinstance(end.code, int) else 2
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name the terminal cannot show is no reason to stop
    debug = getattr(args, "debug", False)
    try:
        return _run(args)
    except (KeyboardInterrupt, Cancelled):
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read our answer is gone; say nothing, also not when Python flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PROBLEM
    except (MedcnnError, OSError) as error:
        if debug:
            traceback.print_exc()
        words = _words(error)
        if getattr(args, "json", False):
            sys.stdout.write(json.dumps({"error": words}) + "\n")
        complain(words)
        return PROBLEM


def main_entry() -> int:
    """Run the command line of this process; the console script passes the result to the system."""
    return main()


def _run(args: argparse.Namespace) -> int:
    # here, so that --help and wrong usage answer at once
    from napari_medcnn.cli import commands

    handler = getattr(commands, args.handler)
    return int(handler(args))


def _words(error: Exception) -> str:
    from napari_medcnn.verbs.consent_flags import ASKED
    from napari_medcnn.verbs.guard import plain_os_error

    if isinstance(error, ConsentNeededError) and error.asks in ASKED:
        return f"{str(error).rstrip('.')}. To agree, add {ASKED[error.asks]}"
    return plain_os_error(error) if isinstance(error, OSError) else str(error)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of errors")
    parser = argparse.ArgumentParser(
        prog="medcnn",
        description="Open a scan, run a model, correct, retrain, measure. Research use only, not for diagnosis.",
        parents=[common],
    )
    parser.add_argument("--version", action="version", version=f"medcnn {__version__}")
    parser.set_defaults(handler="open_window", paths=[])
    commands = parser.add_subparsers(metavar="COMMAND")

    def command(name: str, handler: str, text: str, as_json: bool = False) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, parents=[common])
        added.set_defaults(handler=handler)
        if as_json:
            added.add_argument("--json", action="store_true", help="print one JSON object")
        return added

    _looking(command)
    _running(command)
    return parser


def _looking(command: Add) -> None:
    added = command("demo", "show_demo", "segment the example photograph and show it")
    added.add_argument("--headless", action="store_true", help="no window")
    added.add_argument("--out", metavar="DIR", help="folder for the results (default: a new temporary one)")
    added = command("open", "open_window", "open files or folders in the window")
    added.add_argument("paths", nargs="+", metavar="PATH")
    added = command("info", "show_info", "say what files, folders or a DICOMDIR hold", True)
    added.add_argument("paths", nargs="+", metavar="PATH")
    added = command("convert", "run_convert", "write a scan or mask in another format, values and grid unchanged")
    added.add_argument("input", metavar="IN")
    added.add_argument("output", metavar="OUT")
    added.add_argument("--item", metavar="ID", help="which item, if IN holds several (see: medcnn info)")
    seg = added.add_argument_group("a mask as a DICOM segmentation (OUT ends in .dcm)")
    seg.add_argument("--on", metavar="SERIES", help="file or folder of the DICOM series it was drawn on")
    seg.add_argument("--on-item", metavar="ID", help="which item, if SERIES holds several")
    seg.add_argument("--label-map", action="store_true", help="one picture a slice; programs of 2024 and later")
    seg.add_argument("--identified", action="store_true", help="name the patient; without it nothing leads to one")
    _consenting(added)
    added = command("models", "show_models", "list the models, add or remove one", True)
    change = added.add_mutually_exclusive_group()
    change.add_argument("--add", metavar="PATH", help="add a package (folder or zip), or a bare network with --answers")
    change.add_argument("--add-command", metavar="FILE.yaml", help="add a program of yours as a model")
    change.add_argument(
        "--command-template", nargs="?", const="", metavar="NAME", help="print a description of a program to fill in"
    )
    change.add_argument("--remove", metavar="NAME", help="remove one of your own")
    added.add_argument("--answers", metavar="ANSWERS.yaml", help="what a bare network does not say about itself")
    command("doctor", "show_doctor", "check this computer", True)


def _running(command: Add) -> None:
    _predicting(command("predict", "run_predict", "run a model on scans", True))
    added = command("explain", "run_explain", "say what moved a model's score: a map on the scan's grid", True)
    add_flags(added)
    _consenting(added)
    added = command("train", "run_train", "fine-tune a model on a dataset table")
    added.add_argument("config", metavar="CONFIG.yaml", help="model, dataset, out, options")
    added.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    added = command("evaluate", "run_evaluate", "measure a model or a folder of masks", True)
    source = added.add_mutually_exclusive_group(required=True)
    source.add_argument("-m", "--model", metavar="MODEL")
    source.add_argument("--predictions", metavar="DIR")
    added.add_argument("dataset", metavar="DATASET", help="dataset.csv")
    added.add_argument("-o", "--out", metavar="REPORT_DIR", help="folder for report.json and report.html")
    added.add_argument("--split", metavar="NAME", help="only cases of this split")


def _predicting(added: argparse.ArgumentParser) -> None:
    model = "name or path of a model package, or the name of a program of yours"
    added.add_argument("-m", "--model", required=True, metavar="MODEL", help=model)
    added.add_argument("inputs", nargs="+", metavar="IN", help="files or DICOM folders; channels of one case: 'A|B'")
    added.add_argument("-o", "--out", required=True, metavar="OUT", help="folder, or one image file for one input")
    added.add_argument("--resume", action="store_true", help="leave out what OUT/manifest.json says is done")
    added.add_argument("--item", metavar="ID", help="which item, if IN holds several")
    added.add_argument("--frame", type=_count, default=0, metavar="N", help="time point of a 4D scan, from 0")
    added.add_argument("--region", metavar="Z0:Z1,Y0:Y1,X0:X1", help="run only inside this box of voxels")
    added.add_argument("--ignore-fit", action="store_true", help="run although the scan looks unlike the training data")
    _consenting(added)
    more = added.add_argument_group("also written beside the mask")
    more.add_argument("--probabilities", action="store_true", help="the probability of every class")
    more.add_argument("--uncertainty", action="store_true", help="a map from 0, sure, to 255, undecided")
    more.add_argument(
        "--uncertainty-kind", choices=CHOICES["uncertainty_kind"], default="entropy",
        help="of that map: entropy, or the variance between mirrored runs (with --flips)",
    )  # fmt: skip
    how = added.add_argument_group("how it runs")
    how.add_argument("--device", choices=CHOICES["device"], default="auto")
    how.add_argument("--flips", action="store_true", help="also mirrored, where the model allows it, and averaged")
    how.add_argument("--slices", choices=CHOICES["slices"], default="card", help="which slices a 2D model sees")
    how.add_argument("--coarse", action="store_true", help="look roughly first, then closely where something was found")
    how.add_argument("--engine", choices=CHOICES["engine"], default="auto")
    how.add_argument("--precision", choices=CHOICES["precision"], default="float32")


def _consenting(added: argparse.ArgumentParser) -> None:
    """Add the flags that allow what is refused unasked; each is a field of `core.consent.Consent`."""
    agree = added.add_argument_group("what you agree to (each is recorded with the result)")
    agree.add_argument("--resample", action="store_true", help="bring a tilted or uneven series onto a straight grid")
    agree.add_argument(
        "--duplicates", choices=("first", "last"), default="ask", help="which of differing copies to take"
    )
    agree.add_argument("--damaged", action="store_true", help="read what a damaged file still holds")
    agree.add_argument("--large", action="store_true", help="expand a file beyond the usual size")
    agree.add_argument(
        "--complex", choices=("magnitude", "phase", "real", "imaginary"), default="ask", dest="complex_part",
        help="what to take of complex numbers",
    )  # fmt: skip
    agree.add_argument("--unnumbered", action="store_true", help="take files without a series number as one series")


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or above, got {text}")
    return value
