"""Fill the last column of docs/reliability.md with the tests that name a row ("row 36", "rows 1, 2 and 8 to 10").

A row number in a test function (name, docstring or comment) counts for that function; one in the module's docstring
counts for the file. Run by make docs.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "reliability.md"
MENTION = re.compile(r"(?<![a-z])rows?[ _]((?:\d+(?:, ?| and | to | ?- ?|_)?)+)", re.IGNORECASE)


def rows_in(text: str) -> set[int]:
    """Return the row numbers that a text names; "8 to 10" and "8-10" are ranges."""
    found: set[int] = set()
    for mention in MENTION.findall(text):
        for first, last in re.findall(r"(\d+)(?:(?: to | ?- ?)(\d+))?", mention):
            found.update(range(int(first), int(last or first) + 1))
    return {n for n in found if 1 <= n <= 64}


def covered() -> dict[int, list[str]]:
    result: dict[int, list[str]] = {}
    for path in sorted((REPOSITORY / "tests").rglob("test_*.py")):
        name = path.relative_to(REPOSITORY).as_posix()
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
        lines = source.splitlines()
        for row in rows_in(ast.get_docstring(tree) or ""):
            result.setdefault(row, []).append(f"`{name}`")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                comments = " ".join(line for line in lines[first - 1 : node.end_lineno] if "#" in line)
                text = f"{node.name} {ast.get_docstring(node) or ''} {comments}"
                for row in rows_in(text):
                    result.setdefault(row, []).append(f"`{name}::{node.name}`")
    return result


def main() -> int:
    tests = covered()
    out, shown = [], 0
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = line.split(" | ")
        number = re.match(r"\| (\d+)$", cells[0])
        if number and len(cells) == 4:
            named = tests.get(int(number[1]), [])
            # A function says more than its file.
            files = {n for n in named if "::" not in n}
            exact = [n for n in named if "::" in n and f"{n.partition('::')[0]}`" not in files] or sorted(files)
            shown += bool(named)
            extra = f" and {len(exact) - 3} more" if len(exact) > 3 else ""
            cells[3] = f"{', '.join(exact[:3])}{extra} |" if named else "- |"
            line = " | ".join(cells)
        out.append(line)
    PAGE.write_text("\n".join(out) + "\n", encoding="utf-8")
    print(f"{PAGE.relative_to(REPOSITORY)}: {shown} rows have a test that names them")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
