"""``medcnn models``: list them, add and remove a package, a bare network, or a program of the user's."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_medcnn.cli import adding, terminal
from napari_medcnn.cli.terminal import complain, finish, say, say_json
from napari_medcnn.core.command import CommandModel, card
from napari_medcnn.core.events import Cancel
from napari_medcnn.errors import InputError
from napari_medcnn.io import commands
from napari_medcnn.verbs import models


def show_models(args: argparse.Namespace) -> int:
    """``medcnn models`` with at most one of its changes."""
    if args.answers and not args.add:
        raise InputError("--answers: belongs to --add PATH; which model are the answers about?")
    if args.add:
        return adding.add(Path(args.add), Path(args.answers) if args.answers else None, args.json)
    if args.add_command:
        return _add_command(commands.read_command(args.add_command), args.json)
    if args.command_template is not None:
        return _template(args.command_template, args.json)
    if args.remove:
        return _remove(args.remove, args.json)
    found: models.ModelList = finish(models.run(models.ModelsRequest(), Cancel()))
    if args.json:
        say_json(found.to_json())
    else:
        _show(found)
    for problem in found.problems:
        complain(problem)
    return 0


def _show(found: models.ModelList) -> None:
    for model in found.to_json()["models"]:
        kind = f"{model['task']}, {model['dimensions']}D, {', '.join(model['classes'])}"
        say(f"{model['name']} {model['version']}: {kind}")
        weights = f"{' and '.join(model['weights'])}, {model['licence']}"
        say(f"  {terminal.plain(model['intended_use'])} Weights: {weights}. {model['path']}")
    for command in found.commands:
        _say_command(card(command))
    if not found.packages and not found.commands:
        say("No model is installed.")


def _say_command(shown: dict[str, Any]) -> None:
    kind = f"{shown['task']}, {terminal.plain(shown['title'])}"
    say(f"{shown['name']}: {kind} (runs your program {terminal.plain(shown['arguments'][0])})")
    say(f"  Licence: {terminal.plain(shown['licence'])}")


def _add_command(command: CommandModel, as_json: bool) -> int:
    path = commands.save_command(command)
    if as_json:
        say_json(card(command))
    else:
        say(f"Added {command.name} to {path}")
        _say_command(card(command))
    if command.note:
        complain(f"note: {command.note}")
    return 0


def _template(name: str, as_json: bool) -> int:
    known = {template.name: template for template in commands.templates()}
    if name and name not in known:
        raise InputError(f"--command-template: there is no {name!r}; expected {', '.join(known)}")
    if as_json:
        say_json({"templates": [commands.command_json(t) for t in known.values() if name in ("", t.name)]})
    elif name:
        say(commands.command_text(known[name]).rstrip("\n"))
    else:
        for template in known.values():
            say(f"{template.name}: {template.title}")
    return 0


def _remove(name: str, as_json: bool) -> int:
    """Remove a program of the user's from the list, or a package from the user's own."""
    if any(entry.name == name for entry in commands.list_commands()):
        path = commands.remove_command(name)
        words = f"Removed {name} from {path}; the program itself is where it was"
    else:
        removed: models.Removed = finish(models.remove(models.RemoveRequest(name), Cancel()))
        words = f"Removed {removed.name}; it is kept in {removed.kept}"
    if as_json:
        say_json({"removed": name})
    else:
        say(words)
    return 0
