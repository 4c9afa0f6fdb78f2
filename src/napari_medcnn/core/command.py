"""A program that the user already has, described so that it can be run as a model.

Such a description exists only in the user's own preferences (`io.commands`); nothing that is downloaded can hold one.
There is no shell: `arguments` is a list, and each entry reaches the program as it stands, placeholders filled in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from napari_medcnn.core.labels import LabelSet
from napari_medcnn.errors import InputError

Output = Literal["file", "class files", "nnunet"]

#: Where the program finds what, by the word in braces.
PLACEHOLDERS = {
    "input": "the scan, a .nii.gz file (of several channels the first; input_1, input_2 ... name each)",
    "input_folder": "the folder of the scan, files named case_0000.nii.gz, case_0001.nii.gz ... by channel",
    "output": "the mask to write, a .nii.gz file",
    "output_folder": "the folder to write into",
    "folder": "the folder that holds input/ and output/, for containers",
    "device": "the word that `devices` gives for the chosen device",
    "user": "user and group number, as in 1000:1000, for containers",
}
_WORD = re.compile(r"\{(input_[1-9]|[a-z_]+)\}")
_READS = {"input", "input_folder", "folder"}
_WRITES = {"file": {"output", "folder"}, "class files": {"output_folder", "folder"}}


@dataclass(frozen=True)
class CommandModel:
    """A program as a model.

    Parameters
    ----------
    name
        Short id, letters, digits, dashes.
    title
        Words for people.
    arguments
        The program (a name on PATH or a full path; its own environment or container is its own affair) and its
        arguments, with `PLACEHOLDERS` in braces.  Never seen by a shell.
    output
        "file": one mask at {output}.  "class files": one file per class in {output_folder}, named after the class.
        "nnunet": ``case.nii.gz`` in {output_folder}, class names from the ``dataset.json`` beside it.
    labels
        Class names, if known beforehand; they stand before those that the program writes.
    dataset_json
        Path of an nnU-Net ``dataset.json`` with the class names; "" for none.
    environment
        Variables set for the program, on top of ours without what steers our own Python and networks.
    channels
        Name of each input channel, in order; one for a plain scan.
    modalities
        DICOM codes the program is meant for ("CT", "MR"); empty if it does not matter.
    devices
        What {device} becomes for "auto", "cpu" and "gpu".
    version_arguments
        With these the program prints its version (kept with each result); empty if it cannot.
    licence
        One line on the licence of program and weights.
    note
        What the user should know before the first run.
    """

    name: str
    title: str
    arguments: tuple[str, ...]
    output: Output = "file"
    labels: LabelSet = field(default_factory=LabelSet)
    dataset_json: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    channels: tuple[str, ...] = ("scan",)
    modalities: tuple[str, ...] = ()
    devices: tuple[str, str, str] = ("auto", "cpu", "gpu")
    version_arguments: tuple[str, ...] = ()
    licence: str = "unknown"
    note: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", self.name):
            raise InputError(f"name: expected up to 80 letters, digits and dashes, got {self.name[:80]!r}")
        if not self.title.strip():
            raise InputError("title: expected a few words")
        if self.output not in ("file", "class files", "nnunet"):
            raise InputError(f"output: expected file, class files or nnunet, got {self.output!r}")
        if not self.arguments or not self.arguments[0].strip() or placeholders(self.arguments[0]):
            raise InputError("arguments: expected the program first, by name or full path, without placeholders")
        texts = [*self.arguments, *self.version_arguments, *(t for pair in self.environment for t in pair)]
        if any("\0" in text for text in texts):
            raise InputError("arguments: expected text without null characters")
        if any(not key or "=" in key for key, _ in self.environment):
            raise InputError("environment: expected names without '='")
        if not 1 <= len(self.channels) <= 9 or any(not name.strip() for name in self.channels):
            raise InputError(f"channels: expected 1 to 9 names, got {len(self.channels)}")
        if len(self.devices) != 3:
            raise InputError("devices: expected a word for each of auto, cpu, gpu")
        self._check_placeholders()

    def _check_placeholders(self) -> None:
        used = {word for argument in self.arguments for word in placeholders(argument)}
        counted = {f"input_{n + 1}" for n in range(len(self.channels))}
        unknown = sorted(used - set(PLACEHOLDERS) - counted)
        if unknown:
            known = ", ".join(f"{{{word}}}" for word in PLACEHOLDERS)
            raise InputError(f"arguments: {{{unknown[0]}}} is not known here; expected {known}")
        if not used & (_READS | counted):
            raise InputError("arguments: nothing says where the scan is; use {input}, {input_folder} or {folder}")
        wanted = _WRITES.get(self.output, _WRITES["class files"])
        if not used & wanted:
            words = " or ".join(f"{{{word}}}" for word in sorted(wanted, reverse=True))
            raise InputError(f"arguments: nothing says where to write; use {words}")

    @property
    def program(self) -> str:
        """The program as it was written down."""
        return self.arguments[0]

    def device_word(self, device: str) -> str:
        """Return what {device} becomes for "auto", "cpu" or "gpu"."""
        return dict(zip(("auto", "cpu", "gpu"), self.devices, strict=True))[device]


def placeholders(text: str) -> tuple[str, ...]:
    """Return the words in braces of an argument, in order."""
    return tuple(_WORD.findall(text))


def filled(argument: str, values: Mapping[str, str]) -> str:
    """Return an argument with its placeholders filled in, in one pass: what a value holds is never looked at again."""
    return _WORD.sub(lambda match: values[match.group(1)], argument)


def card(command: CommandModel) -> dict[str, Any]:
    """Return what a list of models shows of a command, plain JSON types."""
    return {
        "name": command.name,
        "title": command.title,
        "kind": "runs your program",
        "task": "segmentation",
        "arguments": list(command.arguments),
        "channels": list(command.channels),
        "classes": list(command.labels.names),
        "modalities": list(command.modalities),
        "licence": command.licence,
        "note": command.note,
    }
