"""Which key does what for this user: a set to start from, and what was changed in it; kept in a small file.

The file is read strictly: what is not exactly right is told by name, and our own keys hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from napari_medcnn.core import paths
from napari_medcnn.errors import InputError
from napari_medcnn.io.atomic import atomic_write
from napari_medcnn.widgets.key_names import FIXED, problem
from napari_medcnn.widgets.key_presets import OURS, PRESETS
from napari_medcnn.widgets.keymap import KEYS, RESERVED, Key, ids, shown

_VERSION = 1
_MOST_BYTES = 64 * 1024
_ROWS: Mapping[str, Key] = MappingProxyType(dict(zip(ids(KEYS), KEYS, strict=True)))
_OURS: Mapping[str, str] = MappingProxyType({name: row.key for name, row in _ROWS.items()})


@dataclass(frozen=True)
class KeyChoice:
    """A set of keys and the user's own keys in it.

    Parameters
    ----------
    preset
        Name in `key_presets.PRESETS`.
    own
        Name of a line (`keymap.ids`) -> its key, "" for none.
    """

    preset: str = OURS
    own: Mapping[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> dict[str, str]:
        """The key of every line of the table.

        The user's keys come before those of the set, and these before our own: a line whose own key was given away has
        none, so no key ever has two meanings.
        """
        found: dict[str, str] = {}
        for wanted in (self.own, PRESETS[self.preset], _OURS):
            for name, key in wanted.items():
                if name in _ROWS and name not in found:
                    found[name] = "" if _holders(found, name, key) else key
        return {name: found[name] for name in _ROWS}

    @property
    def rows(self) -> tuple[Key, ...]:
        """The table with these keys."""
        keys = self.keys
        return tuple(replace(row, key=keys[name]) for name, row in _ROWS.items())

    def holders(self, name: str, key: str) -> tuple[str, ...]:
        """Return the other lines that have a key in a mode in which the line `name` works."""
        return _holders(self.keys, name, key)

    def with_key(self, name: str, key: str) -> KeyChoice:
        """Give a line a key; lines that had it get the old one instead where nothing stands in the way, or none."""
        own, old = dict(self.own), self.keys[name]
        own[name] = key
        for other in self.holders(name, key):
            own[other] = ""
            changed = KeyChoice(self.preset, own)
            if old and not changed.holders(other, old):
                own[other] = old
        return KeyChoice(self.preset, _needed(self.preset, own))

    def reset(self, name: str) -> KeyChoice:
        """Give a line the key of the set again; a line of the user's that has it meanwhile loses it."""
        fresh = KeyChoice(self.preset).keys[name]
        if self.holders(name, fresh):
            return self.with_key(name, fresh)
        return KeyChoice(self.preset, _needed(self.preset, {**self.own, name: fresh}))


def row_of(name: str) -> Key:
    """Return a line of our table by its name."""
    return _ROWS[name]


def is_fixed(name: str) -> bool:
    """Return True for lines whose key is always the same: help and cancel must be found by everybody."""
    return _OURS[name] in FIXED


def kept_for(name: str, key: str) -> str:
    """Return for which later tool a key is kept in the modes of a line; "" for none."""
    modes = set(row_of(name).modes)
    return next((what for kept, where, what in RESERVED if kept == key and modes & set(where)), "")


def _holders(keys: Mapping[str, str], name: str, key: str) -> tuple[str, ...]:
    if not key:
        return ()
    modes = set(row_of(name).modes)
    return tuple(other for other in keys if other != name and keys[other] == key and modes & set(row_of(other).modes))


def _needed(preset: str, own: Mapping[str, str]) -> dict[str, str]:
    """Return the user's keys without those that would hold anyway."""
    kept = dict(own)
    for name in own:
        without = {other: key for other, key in kept.items() if other != name}
        if KeyChoice(preset, without).keys == KeyChoice(preset, kept).keys:
            kept = without
    return kept


# ---- the file ----------------------------------------------------------------------------------------------------


def path() -> Path:
    """Return where the user's keys are kept."""
    return paths.home() / "keys.json"


def write_choice(choice: KeyChoice) -> None:
    """Keep the keys; raises `SaveError` if they cannot be written."""
    text = json.dumps({"version": _VERSION, "preset": choice.preset, "keys": dict(choice.own)}, indent=1) + "\n"

    def verify(written: Path) -> None:
        if written.read_text(encoding="utf-8") != text:
            raise InputError("keys.json reads back differently")

    atomic_write(path(), lambda made: _write_text(made, text), verify)


def _write_text(made: Path, text: str) -> None:
    made.write_text(text, encoding="utf-8")


def read_choice() -> KeyChoice:
    """Return the user's keys, ours where none were kept; raises `InputError` for a file that is not exactly right."""
    try:
        raw = path().read_bytes()
    except FileNotFoundError:
        return KeyChoice()
    except OSError as error:
        raise InputError(f"keys.json: cannot be read ({error.strerror}); our own keys hold") from error
    if len(raw) > _MOST_BYTES:
        raise _wrong("larger than a list of keys can be")
    try:
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        raise _wrong("not readable as JSON") from error
    return _choice_of(found)


def _choice_of(found: Any) -> KeyChoice:
    if not isinstance(found, dict) or set(found) != {"version", "preset", "keys"}:
        raise _wrong('expected the entries "version", "preset" and "keys"')
    if found["version"] != _VERSION or isinstance(found["version"], bool):
        raise _wrong(f"expected version {_VERSION}")
    preset, own = found["preset"], found["keys"]
    if not isinstance(preset, str) or preset not in PRESETS:
        raise _wrong(f'"preset" must be one of {", ".join(PRESETS)}')
    if not isinstance(own, dict) or not all(isinstance(key, str) for key in own.values()):
        raise _wrong('"keys" must give a key for each name')
    for name, key in own.items():
        if name not in _ROWS or is_fixed(name):
            raise _wrong(f"{name[:40]!r} is no action of this version whose key can be chosen")
        if key and problem(key):
            raise _wrong(f"{key[:20]!r} for {row_of(name).does!r} cannot be used")
    choice = KeyChoice(preset, own)
    for name, key in own.items():
        twins = [other for other in choice.holders(name, key) if other in own]
        if twins:
            first, second = sorted((name, twins[0]), key=list(_ROWS).index)
            raise _wrong(f"{shown(key)} is given to both {row_of(first).does!r} and {row_of(second).does!r}")
    return choice


def _no_twins(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _value in pairs}) != len(pairs):
        raise ValueError("an entry stands there twice")
    return dict(pairs)


def _wrong(what: str) -> InputError:
    return InputError(
        f"keys.json in {path().parent.name}: {what}. Our own keys hold until keys are chosen anew (F1, Change...)."
    )
