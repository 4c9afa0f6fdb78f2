"""Validate model packages with bioimageio.spec, with the network blocked.

    python scripts/validate_packages.py [FOLDER_OR_ZIP ...]

Runs in an environment that has bioimageio.spec (make oracles), never in the package's own: the library looks up web
addresses found anywhere in a description. Every attempt to leave this computer is refused, counted and a failure.
Without arguments the packages that ship are validated.
"""

from __future__ import annotations

import importlib.metadata
import os
import socket
import sys
import tempfile
from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[1] / "src" / "napari_medcnn" / "models"


class BlockedError(OSError):
    """Somebody tried to use the network."""


def block_network() -> list[str]:
    """Refuse every connection and name look-up from now on; return the list that attempts are written to."""
    attempts: list[str] = []

    def refuse(*args: object, **_: object) -> None:
        attempts.append(repr(args[1:2] if args and isinstance(args[0], socket.socket) else args[:2]))
        raise BlockedError("the network is blocked during validation")

    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.socket.connect_ex = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = refuse  # type: ignore[assignment]
    socket.gethostbyname = refuse  # type: ignore[assignment]
    socket.create_connection = refuse  # type: ignore[assignment]
    return attempts


def packages(arguments: list[str]) -> list[Path]:
    if arguments:
        return [Path(a) for a in arguments]
    return sorted(p.parent for p in SHIPPED.glob("*/rdf.yaml")) + sorted(SHIPPED.glob("*.zip"))


def main(arguments: list[str]) -> int:
    # The library reads settings from .env in the working folder and keeps a cache; neither is wanted.
    os.environ["BIOIMAGEIO_CACHE_PATH"] = tempfile.mkdtemp(prefix="oracle-cache-")
    os.chdir(tempfile.mkdtemp(prefix="oracle-cwd-"))
    attempts = block_network()
    from bioimageio.spec import InvalidDescr, load_description

    versions = {n: importlib.metadata.version(n) for n in ("bioimageio.spec", "pydantic")}
    print(", ".join(f"{n} {v}" for n, v in versions.items()))
    found = packages(arguments)
    if not found:
        print("no package to validate")
        return 1
    failed = 0
    for path in found:
        before = len(attempts)
        description = load_description(path / "rdf.yaml" if path.is_dir() else path, format_version="latest")
        went_out = attempts[before:]
        good = not isinstance(description, InvalidDescr) and not went_out
        failed += not good
        print(f"{'valid  ' if good else 'INVALID'} {path.name}")
        if went_out:
            print(f"  tried the network {len(went_out)} times: {went_out[:3]}")
        if isinstance(description, InvalidDescr):
            print(description.validation_summary.format())
    print(f"{len(found) - failed} of {len(found)} valid")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main([str(Path(a).resolve()) for a in sys.argv[1:]]))
