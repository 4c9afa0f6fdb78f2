"""YAML of model packages, read strictly: plain values only, no aliases, no repeated keys, limits on size and depth.

A package comes from anywhere. PyYAML's safe loader runs no code, but it still expands aliases without limit, lets the
last of two equal keys win, and turns bare words into dates; each of those is refused here by name.
"""

from __future__ import annotations

import math
from typing import Any

import yaml

from napari_medcnn.errors import ModelError, UnsafeModelError

MAX_BYTES = 1_000_000
MAX_DEPTH = 32


class _Strict(yaml.SafeLoader):
    """Safe loader that refuses aliases, repeated keys and deep nesting while composing, before anything is built."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise UnsafeModelError("aliases (*name) are not allowed")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UnsafeModelError(f"nested deeper than {MAX_DEPTH} levels")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise ModelError("every key must be a plain word")
            if key.value in seen:
                raise UnsafeModelError(f"the key {key.value[:60]!r} stands twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_yaml(raw: bytes, name: str) -> dict[str, Any]:
    """Return the mapping that `raw` (UTF-8) holds: strings, whole and finite numbers, booleans, null, lists, mappings.

    Raises
    ------
    ModelError, UnsafeModelError
        Too large, not UTF-8, not valid YAML, an alias, a repeated key, too deep, a tag, a date, or not a mapping.
    """
    if len(raw) > MAX_BYTES:
        raise UnsafeModelError(f"{name}: expected at most {MAX_BYTES} bytes, got {len(raw)}; this is no model card")
    try:
        loader = _Strict(raw.decode("utf-8"))
        try:
            data = loader.get_single_data()
        finally:
            loader.dispose()
    except UnicodeDecodeError as error:
        raise ModelError(f"{name}: expected text in UTF-8, got other bytes; the file is damaged") from error
    except ModelError as error:
        raise type(error)(f"{name}: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{name}: not valid YAML ({reason}); the file is damaged or was edited by hand") from error
    if not isinstance(data, dict):
        raise ModelError(f"{name}: expected a list of named entries, got {type(data).__name__}")
    _check_plain(data, name)
    return data


def dump_yaml(data: dict[str, Any]) -> bytes:
    """Return UTF-8 YAML of plain values in the given order of keys; equal data gives equal bytes."""
    _check_plain(data, "model card")
    text: str = yaml.dump(data, Dumper=_NoAliases, sort_keys=False, allow_unicode=True, width=100)
    return text.encode("utf-8")


class _NoAliases(yaml.SafeDumper):
    """Writes equal objects out in full, as our own reader wants them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _check_plain(value: Any, name: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ModelError(f"{name}: expected words as keys, got {key!r}")
            _check_plain(item, name)
    elif isinstance(value, list):
        for item in value:
            _check_plain(item, name)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ModelError(f"{name}: expected finite numbers, got {value}")
    elif value is not None and not isinstance(value, str | int):
        raise ModelError(f"{name}: expected words, numbers, lists, got {type(value).__name__} ({str(value)[:40]})")
