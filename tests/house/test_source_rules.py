"""The rules of the house, read from the source: what a linter does not know and a reviewer forgets."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from cases import REPOSITORY

SOURCE = REPOSITORY / "src" / "napari_medcnn"

MAY_CATCH_EVERYTHING = {"worker/server.py", "widgets/tasks.py"}
MAY_BIND_KEYS = {"widgets/keymap.py", "widgets/_beyond_public.py"}
MAY_TOUCH_LAYERS = {
    "widgets/layers.py",
    "widgets/views/mirror.py",
    "widgets/volume_view/scene.py",
    "widgets/second_series/side.py",
}

LAYER_CALLS = {
    "add_image", "add_labels", "add_layer", "add_points", "add_shapes", "add_surface", "add_tracks", "add_vectors",
}  # fmt: skip
# Builders whose arguments are the hyperparameters of a network, named as Keras names them.
MAY_TAKE_MANY = {"engine/networks.py"}
FORBIDDEN_MODULES = {"pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
BINDINGS = {"PyQt5", "PyQt6", "PySide2", "PySide6"}


@cache
def parsed() -> dict[str, ast.Module]:
    """Return path inside the package -> syntax tree."""
    return {
        path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text(encoding="utf-8"), str(path))
        for path in sorted(SOURCE.rglob("*.py"))
    }


def nodes(*kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for name, tree in parsed().items():
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                yield name, node


def places(found: list[tuple[str, ast.AST]]) -> list[str]:
    return [f"{name}:{node.lineno}" for name, node in found]


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def calls(*names: str) -> list[tuple[str, ast.AST]]:
    return [(name, node) for name, node in nodes(ast.Call) if dotted(node.func) in names]


def test_there_is_source_to_read() -> None:
    assert len(parsed()) > 20


def test_no_assert() -> None:
    assert places(list(nodes(ast.Assert))) == []


def test_no_print_and_no_exit() -> None:
    assert places(calls("print", "sys.exit", "exit", "quit")) == []


def test_hard_exit_only_at_the_process_boundary() -> None:
    found = [(n, c) for n, c in calls("os._exit") if not n.startswith(("worker/", "engine/"))]
    assert places(found) == []


def test_nothing_is_unpickled_and_keras_stays_in_safe_mode() -> None:
    bad: list[tuple[str, ast.AST]] = []
    for name, node in nodes(ast.Import, ast.ImportFrom):
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        if FORBIDDEN_MODULES & {m.partition(".")[0] for m in modules}:
            bad.append((name, node))
    for name, node in nodes(ast.keyword):
        value = node.value.value if isinstance(node.value, ast.Constant) else None
        if (node.arg, value) in {("safe_mode", False), ("allow_pickle", True)}:
            bad.append((name, node))
    for name, node in nodes(ast.Call):
        if dotted(node.func).endswith("enable_unsafe_deserialization"):
            bad.append((name, node))
    assert places(bad) == []


def test_only_two_files_catch_everything() -> None:
    bad = []
    for name, node in nodes(ast.ExceptHandler):
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        broad = node.type is None or any(dotted(c) in {"Exception", "BaseException"} for c in caught if c)
        if broad and name not in MAY_CATCH_EVERYTHING:
            bad.append((name, node))
    assert places(bad) == []


def test_no_error_of_ours_is_a_runtime_error() -> None:
    """Generator workers of superqt swallow RuntimeError and its children: no signal, busy for ever."""
    swallowed = {"RuntimeError", "NotImplementedError", "BrokenProcessPool", "RecursionError"}
    bad = [(n, c) for n, c in nodes(ast.ClassDef) if swallowed & {dotted(b) for b in c.bases}]
    for name, node in nodes(ast.Raise):
        if name.startswith("engine/"):  # another process: its errors cross as messages, and Keras bases expect these
            continue
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if raised is not None and dotted(raised) in swallowed:
            bad.append((name, node))
    assert places(bad) == []

    from napari_medcnn import errors

    ours = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, BaseException)]
    assert len(ours) > 3
    assert all(issubclass(e, errors.MedcnnError) and not issubclass(e, RuntimeError) for e in ours)


def test_qt_only_through_qtpy() -> None:
    bad = []
    for name, node in nodes(ast.Import, ast.ImportFrom):
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        if BINDINGS & {m.partition(".")[0] for m in modules}:
            bad.append((name, node))
    assert places(bad) == []


def test_qt_enums_are_fully_scoped() -> None:
    """``Qt.LeftButton`` works on PyQt5 alone; ``Qt.MouseButton.LeftButton`` on all of them."""
    bad = []
    for name, tree in parsed().items():
        inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and dotted(node.value) == "Qt" and id(node) not in inner:
                bad.append((name, node))
    assert places(bad) == []


def test_no_global_statement_and_no_mutable_module_state() -> None:
    bad = list(nodes(ast.Global))
    mutable = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    for name, tree in parsed().items():
        for node in tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, mutable):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                # A table in capitals is read only by convention; anything else is state.
                if not all(dotted(t).strip("_").isupper() or dotted(t) == "__all__" for t in targets):
                    bad.append((name, node))
    assert places(bad) == []


def test_keys_are_bound_in_one_table() -> None:
    bad = []
    for name, node in nodes(ast.Call):
        called = dotted(node.func).rpartition(".")[2]
        if called in {"bind_key", "QShortcut", "setShortcut"} and name not in MAY_BIND_KEYS:
            bad.append((name, node))
    assert places(bad) == []


def test_one_file_touches_layers() -> None:
    bad = []
    for name, node in nodes(ast.Call):
        function = dotted(node.func)
        touches = function.rpartition(".")[2] in LAYER_CALLS or function.endswith(
            (".layers.remove", ".layers.append", ".layers.insert", ".layers.clear", ".layers.pop", ".layers.move")
        )
        if touches and name not in MAY_TOUCH_LAYERS:
            bad.append((name, node))
    assert places(bad) == []


def test_private_napari_stays_in_one_file() -> None:
    bad = []
    for name, node in nodes(ast.Import, ast.ImportFrom):
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        private = any(m.startswith("napari.") and any(part.startswith("_") for part in m.split(".")) for m in modules)
        if private and name != "widgets/_beyond_public.py":
            bad.append((name, node))
    for name, node in nodes(ast.Attribute):
        private = node.attr in {"_qt_viewer", "_qt_window", "_undo_history", "_redo_history", "_slice_input"}
        if private and name != "widgets/_beyond_public.py":
            bad.append((name, node))
    assert places(bad) == []


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks", "recipes", "scripts"])
def test_no_file_over_400_lines(folder: str) -> None:
    lengths = {
        path.relative_to(REPOSITORY).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in Path(REPOSITORY / folder).rglob("*.py")
    }
    assert {name: n for name, n in lengths.items() if n > 400} == {}


def test_no_function_over_80_lines() -> None:
    """About 50 lines is the aim; a docstring with shapes, units and sources is not held against a function."""
    bad = {}
    for name, node in nodes(ast.FunctionDef, ast.AsyncFunctionDef):
        first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
        length = (node.end_lineno or 0) - first.lineno + 1
        if length > 80:
            bad[f"{name}:{node.lineno} {node.name}"] = length
    assert bad == {}


def test_more_than_six_arguments_are_a_dataclass() -> None:
    bad = []
    for name, node in nodes(ast.FunctionDef, ast.AsyncFunctionDef):
        spec = node.args
        names = [a.arg for a in spec.posonlyargs + spec.args + spec.kwonlyargs if a.arg not in {"self", "cls"}]
        if len(names) > 6 and name not in MAY_TAKE_MANY:
            bad.append((name, node))
    assert places(bad) == []
