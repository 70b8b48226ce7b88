"""The challenge's archives: fetched, checked by their own checksums, unpacked with suspicion.

Nobody published hashes of them. A download that was resumed is trusted no more than any other: an
archive counts only once every image in it was unpacked with the right CRC-32.
"""

from __future__ import annotations

import io
import logging
import lzma
import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from srbench.errors import CorruptFile, DataError, StoreError
from srbench.files import Progress, RemoteFile, cache_dir, ensure
from srbench_aim19.importing import one_at_a_time
from srbench_aim19.layout import PARTS, official_folder

URL = "https://data.vision.ee.ethz.ch/alugmayr/real-world-sr/AIM19/{name}.zip"
LARGEST = 64 * 1024**3  # bytes an archive may unpack to; the largest is some 20 GB
MOST_MEMBERS = 10_000  # the largest archive has 2,650 images
LARGEST_DIRECTORY = 4 * 1024**2  # bytes of the list of members; a hundred for each are usual
RATIO = 20  # PNG files do not shrink; what unpacks to so many times its size is none of them
_BLOCK = 1 << 20
_LOG = logging.getLogger(__name__)
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)


@dataclass(frozen=True, kw_only=True)
class Archive(RemoteFile):
    """A zip archive without a published hash, verified while it is unpacked."""

    @property
    def has_hash(self) -> bool:
        """The CRC-32 of its members; so a download may be resumed."""
        return True

    @property
    def folder(self) -> Path:
        """Where it is unpacked."""
        return official_folder() / Path(self.path).stem


def archives() -> list[Archive]:
    """Return the four archives, in the order of `PARTS`."""
    return [Archive(url=URL.replace("{name}", part.folders[0]),
                    path=f"aim19/{part.folders[0]}.zip",
                    licence="research use, AIM 2019 challenge") for part in PARTS.values()]


def absent() -> list[Archive]:
    """Archives that are not unpacked yet."""
    return [archive for archive in archives() if not archive.folder.is_dir()]


def fetch(archive: Archive, progress: Progress | None = None) -> Path:
    """Have an archive unpacked below the cache; return the folder.

    What is done already is not done again. Our copy of the archive is deleted afterwards; one
    found in a folder of ``SRBENCH_DATA`` is left alone.

    Raises
    ------
    DownloadError
        If it cannot be fetched; what came is kept and resumed.
    CorruptFile
        If it is damaged, also when fetched from the start again.
    DataError
        If it holds what no archive of images holds.
    StoreError
        If the disk is full.
    """
    if not archive.folder.is_dir():
        with one_at_a_time(archive.folder):
            if not archive.folder.is_dir():
                _fetch(archive, progress)
    return archive.folder


def _fetch(archive: Archive, progress: Progress | None) -> None:
    """Download and unpack; once more from the start if what came is damaged."""
    ours = cache_dir() / archive.path
    path = ensure(archive, progress=progress)
    try:
        unpack(path, archive.folder, progress)
    except CorruptFile as error:
        if path != ours:
            raise
        _LOG.warning("%s; fetching it from the start", error.message)
        ours.unlink()
        path = ensure(archive, progress=progress)
        try:
            unpack(path, archive.folder, progress)
        except CorruptFile:
            ours.unlink(missing_ok=True)
            raise
    if path == ours:
        ours.unlink()


def unpack(path: Path, folder: Path, progress: Progress | None = None) -> None:
    """Unpack the PNG files of an archive flat into ``folder``, all or none.

    Raises
    ------
    CorruptFile
        If it is no zip archive, truncated, or a checksum is wrong.
    DataError
        If a member has an absolute path, climbs out of the folder, is a link or has a name that
        cannot be shown, if two have one name but for upper and lower case, or if they are too
        many or too large: nothing is unpacked then.
    StoreError
        If the disk is full.
    """
    temporary = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)  # of an attempt that was killed
    try:
        with _told(path), _Stepwise(path) as whole, zipfile.ZipFile(whole) as archive:
            members = _members(path, archive)
            temporary.mkdir(parents=True)
            total, done = sum(member.file_size for member in members), 0
            for member in members:
                target = temporary / PurePosixPath(member.filename).name
                with archive.open(member) as source, target.open("wb") as file:
                    while block := source.read(_BLOCK):
                        file.write(block)
                        done += len(block)
                if progress is not None:
                    progress(f"unpacking {path.name}", done, total)
            temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Stepwise(io.FileIO):
    """A file that is never read in large steps: zipfile would load any list of members at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to ``size`` bytes, or all; BadZipFile if they are more than a list takes."""
        wanted = LARGEST_DIRECTORY + 1 if size is None or size < 0 else size
        content = super().read(min(wanted, LARGEST_DIRECTORY + 1))
        if len(content) > LARGEST_DIRECTORY:
            raise zipfile.BadZipFile(f"its list of members has more than {LARGEST_DIRECTORY:,} "
                                     "bytes")
        return content


def _members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Members to unpack, once all of them are harmless."""
    listed = archive.infolist()
    if len(listed) > MOST_MEMBERS:
        raise _not_ours(path, f"{len(listed):,} members")
    members: dict[str, zipfile.ZipInfo] = {}
    for member in listed:
        name = PurePosixPath(member.filename)
        _check_member(path, member, name)
        hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
        if member.is_dir() or hidden:
            continue
        if name.suffix.lower() != ".png":
            _LOG.warning("%s: %s is no PNG and is not unpacked", path.name, member.filename)
            continue
        alike = unicodedata.normalize("NFKC", name.name).casefold()
        if alike in members:
            other = PurePosixPath(members[alike].filename).name
            raise _not_ours(path, f"two images called {name.name}" if other == name.name
                            else f"two images called {other} and {name.name}")
        members[alike] = member
    _check_sizes(path, list(members.values()))
    return list(members.values())


def _check_member(path: Path, member: zipfile.ZipInfo, name: PurePosixPath) -> None:
    """Raise `DataError` for a member that could end up elsewhere or be something else."""
    kind = stat.S_IFMT(member.external_attr >> 16)
    if not member.orig_filename.isprintable() or not member.filename.isprintable():
        raise _not_ours(path, f"{member.orig_filename!r}, a name that cannot be shown")
    if name.is_absolute() or ".." in name.parts or "\\" in member.filename or (
            ":" in name.parts[0] if name.parts else False):
        raise _not_ours(path, f"{member.filename!r}, which would leave its folder")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _not_ours(path, f"{member.filename!r}, which is a link or device")


def _check_sizes(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Raise `DataError` where members are none, share bytes or unpack to far more than they are."""
    total = sum(member.file_size for member in members)
    if not members or total > LARGEST:
        raise _not_ours(path, f"images of {total:,} bytes" if members else "no PNG image")
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < end:
            raise _not_ours(path, f"{member.filename!r}, which lies inside another member")
        end = member.header_offset + member.compress_size
        if member.file_size > RATIO * member.compress_size + _BLOCK:
            raise _not_ours(path, f"{member.filename!r}, which unpacks from "
                                  f"{member.compress_size:,} to {member.file_size:,} bytes")
    free = shutil.disk_usage(path.parent).free
    if total > free:
        raise StoreError(f"{path.name} unpacks to {total / 1e9:.1f} GB, {free / 1e9:.1f} GB are "
                         "free", hint="SRBENCH_CACHE=DIR puts the cache on a larger disk")


def _not_ours(path: Path, what: str) -> DataError:
    return DataError(f"{path} holds {what}", hint=f"it is not AIM19's archive: delete {path}")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what ``zipfile`` and the system raise into srbench's errors."""
    try:
        yield
    except _DAMAGE as error:
        raise CorruptFile(f"{path} is no whole archive: {error}",
                          hint="delete it and run srbench fetch aim19 again") from error
    except RuntimeError as error:  # an encrypted member
        raise DataError(f"{path} cannot be unpacked: {error}",
                        hint=f"it is not AIM19's archive: delete {path}") from error
    except OSError as error:
        raise StoreError(f"cannot unpack {path}: {error.strerror or error}",
                         hint="free space, or SRBENCH_CACHE=DIR on a larger disk") from error
