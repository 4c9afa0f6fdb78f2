"""Print the table of the zoo; exit 1 if a row is not explained.  Arguments: part of a folder's name, --docs."""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from cases import SHARED_DATA  # noqa: E402
from zoo.rows import FINE  # noqa: E402
from zoo.summary import counts, write_page  # noqa: E402
from zoo.table import all_rows  # noqa: E402


def main(arguments: list[str]) -> int:
    if not SHARED_DATA.is_dir():
        print("The real data is not beside this checkout: nothing to compare.")
        return 0
    only = next((a for a in arguments if not a.startswith("--")), "")
    started, rows = time.monotonic(), []
    for row in all_rows(SHARED_DATA, only):
        rows.append(row)
        print(row.line(), flush=True)
    print()
    for line in counts(rows):
        print(line)
    bad = [row for row in rows if row.verdict not in FINE]
    print(f"{len(rows)} rows, {len(bad)} not explained, {time.monotonic() - started:.0f} s")
    for row in bad:
        print(row.line())
    if "--docs" in arguments and not only and not bad:
        write_page(ROOT / "docs" / "zoo.md", SHARED_DATA, rows)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
