"""Zipped model packages: the few members that a card names, copied one by one under names of our own choosing."""

from __future__ import annotations

import hashlib
import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path

from napari_medcnn.core import paths
from napari_medcnn.errors import IncompleteFileError, ModelError, UnsafeModelError
from napari_medcnn.io import package_rdf as rdf
from napari_medcnn.io.package_yaml import MAX_BYTES, load_yaml

MAX_FILES = 32
MAX_TOTAL_BYTES = 8 * 1024**3
MAX_RATIO, RATIO_FROM_BYTES = 200, 4_000_000
_BLOCK = 1 << 20


def unpacked(path: Path) -> Path:
    """Copy the named members of a zip into our private cache, named after its hash, and return that folder.

    No archive is extracted: the members are those the card names, each name is checked to be bare, each is streamed
    with its declared size as the limit into a file that we name ourselves, and the hashes are compared afterwards as
    for any folder. So no member can choose where it is written or how much.
    """
    cache = paths.home() / "packages"
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = cache / sha256_of(path)
    if target.is_dir():
        return target
    temporary = Path(tempfile.mkdtemp(prefix="unpacking-", dir=cache))
    try:
        with zipfile.ZipFile(path) as archive:
            members = _checked_members(archive)
            if rdf.RDF not in members:
                raise ModelError("expected rdf.yaml at the top of the zip; this is no model package")
            _copy_member(archive, members[rdf.RDF], temporary, MAX_BYTES)
            content = rdf.read_rdf(load_yaml((temporary / rdf.RDF).read_bytes(), rdf.RDF))
            for name in content.hashes:
                if name not in members:
                    raise IncompleteFileError(f"{name} is missing in the zip; get the package again")
                _copy_member(archive, members[name], temporary, members[name].file_size)
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():  # another process may have been faster; its copy is as good
                raise
        return target
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise IncompleteFileError(f"damaged or cut zip ({str(error)[:80]}); get the package again") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _checked_members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    items = archive.infolist()
    if len(items) > MAX_FILES:
        raise UnsafeModelError(f"expected at most {MAX_FILES} files in the zip, got {len(items)}")
    members: dict[str, zipfile.ZipInfo] = {}
    for item in items:
        name = rdf.bare_name(item.orig_filename, "file in the zip")
        if name in members:
            raise UnsafeModelError(f"{name} stands twice in the zip")
        if stat.S_ISLNK(item.external_attr >> 16):
            raise UnsafeModelError(f"{name} is a link; a package holds its own files")
        if item.flag_bits & 1 or item.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ModelError(f"{name} is encrypted or packed in an unusual way; make the zip again")
        if item.file_size > RATIO_FROM_BYTES and item.file_size > MAX_RATIO * max(1, item.compress_size):
            raise UnsafeModelError(f"{name} would unpack from {item.compress_size} to {item.file_size} bytes")
        members[name] = item
    if sum(item.file_size for item in items) > MAX_TOTAL_BYTES:
        raise UnsafeModelError(f"expected at most {MAX_TOTAL_BYTES} bytes in the zip")
    return members


def _copy_member(archive: zipfile.ZipFile, item: zipfile.ZipInfo, folder: Path, limit: int) -> None:
    written = 0
    with archive.open(item) as source, (folder / item.filename).open("xb") as target:
        while block := source.read(_BLOCK):
            written += len(block)
            if written > limit:
                raise UnsafeModelError(f"{item.filename} is larger than allowed ({limit} bytes)")
            target.write(block)


def write_zip(folder: Path, target: Path) -> None:
    """Write a zip with fixed dates and order, so that equal packages are equal files."""
    with zipfile.ZipFile(target, "x") as archive:
        for path in sorted(folder.iterdir()):
            item = zipfile.ZipInfo(path.name, (1980, 1, 1, 0, 0, 0))
            item.external_attr = 0o644 << 16
            with path.open("rb") as source, archive.open(item, "w", force_zip64=True) as member:
                shutil.copyfileobj(source, member, _BLOCK)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
