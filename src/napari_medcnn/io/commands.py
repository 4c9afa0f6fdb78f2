"""Command models of this user: read from and written to ``commands.yaml`` in our private folder, nowhere else.

The file says which programs may be started with which arguments, so only its owner may be able to write it, every key
is known, and every entry is text. A model package is read by `io.packages`, which knows none of these keys.
"""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_medcnn.core import paths
from napari_medcnn.core.command import PLACEHOLDERS, CommandModel
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.errors import InputError, ModelError
from napari_medcnn.io.command_templates import TEMPLATES
from napari_medcnn.io.package_yaml import dump_yaml, load_yaml
from napari_medcnn.io.save import save_text

FILE = "commands.yaml"
_VERSION = 1
_KEYS = (
    "name", "title", "arguments", "output", "classes", "dataset_json", "environment", "channels", "modalities",
    "devices", "version_arguments", "licence", "note",
)  # fmt: skip
_DEVICES = ("auto", "cpu", "gpu")


@dataclass(frozen=True)
class BrokenCommand:
    """An entry that cannot be used, and why; `name` is that of the file where all of it cannot be read."""

    name: str
    error: str


def commands_file() -> Path:
    """Return where the user's commands stand; the file exists once there is one."""
    return paths.home() / FILE


def list_commands() -> list[CommandModel | BrokenCommand]:
    """Return the user's commands in the order of the file; [] if there is none."""
    try:
        entries = _entries(commands_file())
    except (InputError, ModelError, OSError) as error:
        return [BrokenCommand(FILE, str(error))]
    found: list[CommandModel | BrokenCommand] = []
    for number, entry in enumerate(entries, 1):
        name = str(entry.get("name", number)) if isinstance(entry, dict) else str(number)
        try:
            command = command_from(entry)
            if any(isinstance(other, CommandModel) and command.name == other.name for other in found):
                raise InputError(f"name: {command.name!r} stands twice; rename one")
            found.append(command)
        except InputError as error:
            found.append(BrokenCommand(name[:80], f"{FILE}: {error}"))
    return found


def find_command(name: Path | str) -> CommandModel | None:
    """Return the user's command of this name, None if there is none.

    Raises
    ------
    InputError
        There is one and it cannot be used.
    """
    for entry in list_commands():
        if entry.name == str(name):
            if isinstance(entry, BrokenCommand):
                raise InputError(entry.error)
            return entry
    return None


def read_command(path: Path | str) -> CommandModel:
    """Return the one command of a YAML file, as `command_text` writes it.

    Raises
    ------
    InputError
        The file is missing, not such a description, or an entry is not usable; the message names it.
    """
    path = Path(path)
    try:
        return command_from(load_yaml(path.read_bytes(), path.name))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (InputError, ModelError) as error:
        words = str(error)
        raise InputError(words if words.startswith(path.name) else f"{path.name}: {words}") from error


def save_command(command: CommandModel) -> Path:
    """Add a command to the user's own, and return the file.  Remarks written into that file by hand are lost.

    Raises
    ------
    InputError
        There is one of that name, or the file cannot be read.
    SaveError
        It cannot be written; the old file is intact.
    """
    entries = _entries(commands_file())
    if any(isinstance(entry, dict) and entry.get("name") == command.name for entry in entries):
        raise InputError(
            f"name: there is a command {command.name!r} already; remove it first (medcnn models --remove "
            f"{command.name}) or choose another name"
        )
    return _write([*entries, command_json(command)])


def remove_command(name: str) -> Path:
    """Remove a command from the user's own; the program itself is not touched.

    Raises
    ------
    InputError
        There is none of that name.
    """
    entries = _entries(commands_file())
    left = [entry for entry in entries if not (isinstance(entry, dict) and entry.get("name") == name)]
    if len(left) == len(entries):
        raise InputError(f"name: there is no command {name!r}")
    return _write(left)


def templates() -> tuple[CommandModel, ...]:
    """Return ready descriptions of known programs; words in capitals are for the user to fill in."""
    return tuple(command_from(dict(entry)) for entry in TEMPLATES)


def command_text(command: CommandModel) -> str:
    """Return a command as YAML to edit and add, with what the placeholders mean."""
    lines = ["# Save this as a file, change what stands in capitals, then: medcnn models --add-command FILE.yaml"]
    lines += ["# In arguments:", *(f"#   {{{word}}}: {words}" for word, words in PLACEHOLDERS.items())]
    return "\n".join(lines) + "\n" + dump_yaml(command_json(command)).decode("utf-8")


def command_json(command: CommandModel) -> dict[str, Any]:
    """Return plain JSON types; what is at its default is left out."""
    data: dict[str, Any] = {
        "name": command.name,
        "title": command.title,
        "arguments": list(command.arguments),
        "output": command.output,
        "classes": [{"id": label.id, "name": label.name} for label in command.labels],
        "dataset_json": command.dataset_json,
        "environment": dict(command.environment),
        "channels": list(command.channels),
        "modalities": list(command.modalities),
        "devices": dict(zip(_DEVICES, command.devices, strict=True)),
        "version_arguments": list(command.version_arguments),
        "licence": command.licence,
        "note": command.note,
    }
    plain = CommandModel("a", "a", ("a", "{input}", "{output}"))
    unset = ("classes", "dataset_json", "environment", "channels", "modalities", "devices", "version_arguments", "note")
    defaults = {"channels": list(plain.channels), "devices": dict(zip(_DEVICES, plain.devices, strict=True))}
    return {k: v for k, v in data.items() if k not in unset or (v and v != defaults.get(k))}


def command_from(entry: object) -> CommandModel:
    """Read what `command_json` wrote; unknown keys and anything that is not text are refused.

    Raises
    ------
    InputError
        Names the key.
    """
    if not isinstance(entry, dict):
        raise InputError(f"expected name, title, arguments ... of a command, got {type(entry).__name__}")
    unknown = sorted(str(key)[:60] for key in set(entry) - set(_KEYS))
    if unknown:
        raise InputError(f"{unknown[0]}: not known here; expected {', '.join(_KEYS)}")
    missing = [key for key in ("name", "title", "arguments") if not entry.get(key)]
    if missing:
        raise InputError(f"{missing[0]}: missing")
    given: dict[str, Any] = {
        key: _text(key, entry[key])
        for key in ("name", "title", "output", "dataset_json", "licence", "note")
        if entry.get(key) is not None
    }
    for key in ("arguments", "channels", "modalities", "version_arguments"):
        if entry.get(key) is not None:
            given[key] = _texts(key, entry[key])
    if entry.get("classes") is not None:
        given["labels"] = _labels(entry["classes"])
    environment, devices = (_mapping(key, entry.get(key)) for key in ("environment", "devices"))
    given["environment"] = tuple(environment.items())
    if devices:
        if set(devices) != set(_DEVICES):
            raise InputError(f"devices: expected auto, cpu and gpu, got {', '.join(devices)}")
        given["devices"] = tuple(devices[key] for key in _DEVICES)
    return CommandModel(**given)


def _text(key: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{key}: expected text, got {str(value)[:60]!r}; put it in quotes")
    return str(value)


def _texts(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InputError(f"{key}: expected a list, one entry per word, got {type(value).__name__}; there is no shell")
    return tuple(_text(key, item) for item in value)


def _mapping(key: str, value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{key}: expected names with values, got {type(value).__name__}")
    return {str(name): _text(f"{key}.{name}", item) for name, item in value.items()}


def _labels(value: object) -> LabelSet:
    try:
        return LabelSet.from_json(value)
    except (ValueError, TypeError) as error:
        raise InputError(f"classes: {error}") from error


def _entries(path: Path) -> list[Any]:
    if not path.exists():
        return []
    _check_owner(path)
    data = load_yaml(path.read_bytes(), FILE)
    if set(data) != {"version", "commands"} or data["version"] != _VERSION or not isinstance(data["commands"], list):
        raise InputError(f"{FILE}: expected 'version: {_VERSION}' and a list 'commands'; correct or delete {path}")
    return list(data["commands"])


def _check_owner(path: Path) -> None:
    """Refuse a file that somebody else could have written: it says which programs are started."""
    if sys.platform == "win32":
        return
    found = path.stat()
    if found.st_uid not in (os.getuid(), 0) or found.st_mode & stat.S_IWOTH:
        raise InputError(f"{path}: others may write to this file, and it names programs to run; run: chmod 600 {path}")


def _write(entries: list[Any]) -> Path:
    path = commands_file()
    save_text(dump_yaml({"version": _VERSION, "commands": entries}).decode("utf-8"), path)
    path.chmod(0o600)
    return path
