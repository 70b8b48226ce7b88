"""Files on the user's machine: the cache, verified downloads, writes that survive a crash.

A file somebody else published is looked for in the folders of ``SRBENCH_DATA``, then in the cache
(``SRBENCH_CACHE``, by default the platform's), then fetched. It is used only if its hash is right.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from srbench.atomic import atomic_write, sync, told_as_store_error, write_atomically
from srbench.download import Progress, download, is_offline, locked, reachable
from srbench.errors import CorruptFile, DataError, DownloadError
from srbench.paths import user_path

__all__ = ["Progress", "RemoteFile", "atomic_write", "cache_dir", "check", "data_dirs", "ensure",
           "find", "git_blob_sha1", "is_offline", "reachable", "read_manifest", "sha256",
           "write_atomically"]

_LOG = logging.getLogger(__name__)
_BLOCK = 1 << 20


def cache_dir() -> Path:
    """Folder for what can be fetched or computed again; ``SRBENCH_CACHE`` overrides."""
    chosen = os.environ.get("SRBENCH_CACHE")
    return user_path(chosen) if chosen else platformdirs.user_cache_path("srbench")


def data_dirs() -> tuple[Path, ...]:
    """Folders where the user keeps data: ``SRBENCH_DATA``, separated as in ``PATH``."""
    listed = os.environ.get("SRBENCH_DATA", "").split(os.pathsep)
    return tuple(user_path(folder) for folder in listed if folder)


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A published file: where it is, where it goes, how it is verified.

    Parameters
    ----------
    url : str
        Where it is fetched from.
    path : str
        Its place below the cache, with ``/`` between folders.
    git_blob_sha1 : str, optional
        Name of the file's content in git (hex).
    sha256 : str, optional
        SHA-256 of the content (hex).
    sha256_prefix : str, optional
        First digits of it, where no more was published.
    licence : str
        Under which its authors publish it.
    """

    url: str
    path: str
    git_blob_sha1: str | None = None
    sha256: str | None = None
    sha256_prefix: str | None = None
    licence: str = ""

    @property
    def has_hash(self) -> bool:
        """Whether its content can be verified."""
        return any((self.git_blob_sha1, self.sha256, self.sha256_prefix))


def read_manifest(path: Path) -> dict[str, RemoteFile]:
    """Read an ``official_files.json``: name, repository, licence, commit, url, files, hashes.

    ``{path}`` in the url stands for a file's path, or for its entry of ``ids`` where it has one.

    Returns
    -------
    dict of str to RemoteFile
        By the path inside the authors' repository; below the cache they lie in a folder called
        like the manifest's ``name``.

    Raises
    ------
    DataError
        If the file is not such a manifest.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        prefixes, ids = document.get("sha256_prefix", {}), document.get("ids", {})
        note = f"{document['licence']}, {document['repository']}"
        return {
            name: RemoteFile(url=document["url"].replace("{path}", ids.get(name, name)),
                             path=f"{document['name']}/{name}", git_blob_sha1=blob,
                             sha256_prefix=prefixes.get(name), licence=note)
            for name, blob in document["files"].items()
        }
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise DataError(f"{path} is not a list of official files: {error!r}",
                        hint="reinstall the plugin it belongs to") from error


def git_blob_sha1(path: Path) -> str:
    r"""SHA-1 (hex) of ``b"blob <size>\0"`` and the content, the name git gives a file."""
    header = b"blob %d\0" % path.stat().st_size
    return _streamed(hashlib.sha1(header, usedforsecurity=False), path)


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    return _streamed(hashlib.sha256(), path)


def check(path: Path, remote: RemoteFile) -> None:
    """Raise `CorruptFile` with both hashes if ``path`` has not the content ``remote`` must have."""
    for kind, expected, compute in (("git blob SHA-1", remote.git_blob_sha1, git_blob_sha1),
                                    ("SHA-256", remote.sha256, sha256),
                                    ("SHA-256", remote.sha256_prefix, sha256)):
        found = compute(path) if expected else ""
        if expected and not found.startswith(expected.lower()):
            raise CorruptFile(
                f"{path} is not the published file: expected {kind} {expected}, found {found} "
                f"({path.stat().st_size:,} bytes)", hint="delete it and fetch it again")


def find(remote: RemoteFile) -> Path | None:
    """Where the file already lies, not yet verified: ``SRBENCH_DATA`` first, then the cache.

    A folder of ``SRBENCH_DATA`` may be the root of a copy, the folder above it, or one further
    down: ``wasserstein2-benchmark/benchmarks/CelebA64/Final_G.pt`` is found below the folder as
    ``CelebA64/Final_G.pt`` and ``any-name/CelebA64/Final_G.pt``, and in a folder ``CelebA64``.
    """
    parts = Path(remote.path).parts
    tails = [Path(*parts[first:]) for first in range(max(1, len(parts) - 1))]
    places: list[Path] = []
    for folder in data_dirs():
        places += [folder / tail for tail in tails]
        if len(parts) > 1 and folder.name == parts[-2]:
            places.append(folder / parts[-1])
        if folder.is_dir():
            places += [below / tail for below in sorted(folder.iterdir()) if below.is_dir()
                       for tail in tails]
    places.append(cache_dir() / remote.path)
    return next((place for place in places if place.is_file()), None)


def ensure(remote: RemoteFile, *, progress: Progress | None = None, fetch: bool = True) -> Path:
    """Return the verified file, downloading it where it is not on this machine.

    Parameters
    ----------
    remote : RemoteFile
        What is wanted.
    progress : callable, optional
        Called with (path, bytes so far, bytes in total or None) during a download.
    fetch : bool
        Whether the network may be used.

    Raises
    ------
    CorruptFile
        If a file of the user's, or a download, has the wrong content, or if a cached one has and
        cannot be fetched again. A wrong download is not kept.
    DownloadError
        If it is not here and cannot be fetched.
    StoreError
        If the cache cannot be written.
    """
    target = cache_dir() / remote.path
    present = find(remote)
    corrupt = None
    if present is not None:
        try:
            check(present, remote)
            return present
        except CorruptFile as error:
            if present != target or not fetch:
                raise
            corrupt = error
            _LOG.warning("%s; fetching it again", error.message)
    if not fetch:
        raise _not_fetched(remote, target, "it is not on this machine and was not to be fetched")
    try:
        _fetch(remote, target, progress)
    except DownloadError as error:
        if corrupt is None:
            raise
        raise CorruptFile(f"{corrupt.message}; fetching it again failed: {error.message}",
                          hint=f"replace or delete {target}") from error
    return target


def _fetch(remote: RemoteFile, target: Path, progress: Progress | None) -> None:
    """Download to a ``.part`` file beside the target, verify, rename; one process at a time."""
    part = target.with_name(f"{target.name}.part")
    with told_as_store_error(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(f".{target.name}.lock")):
            if target.is_file() and remote.has_hash:
                with suppress(CorruptFile):
                    check(target, remote)
                    return  # another process fetched it while this one waited
            _LOG.info("fetching %s (%s)", remote.url, remote.licence or "no licence given")
            try:
                resumed = download(remote.url, part, label=remote.path, resume=remote.has_hash,
                                   progress=progress)
                if resumed and _differs(part, remote):
                    part.unlink()
                    download(remote.url, part, label=remote.path, progress=progress)
            except DownloadError as error:
                raise _not_fetched(remote, target, error.message) from error
            try:
                check(part, remote)
            except CorruptFile:
                part.unlink()
                raise
            sync(part)
            part.replace(target)
            sync(target.parent)


def _not_fetched(remote: RemoteFile, target: Path, why: str) -> DownloadError:
    offline = "unset SRBENCH_OFFLINE, or " if is_offline() else ""
    return DownloadError(
        f"{remote.path} cannot be had from {remote.url}: {why}",
        hint=f"{offline}put the file at {target}, or at {remote.path} below a folder of "
             "SRBENCH_DATA")


def _differs(path: Path, remote: RemoteFile) -> bool:
    try:
        check(path, remote)
    except CorruptFile:
        return True
    return False


def _streamed(digest: hashlib._Hash, path: Path) -> str:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
