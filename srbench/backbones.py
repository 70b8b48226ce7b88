"""The pretrained networks srbench knows, and the form their weights are stored in.

A stored file is safetensors whose metadata hold a hash of the content and where it came from.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from srbench.atomic import told_as_store_error
from srbench.errors import CorruptFile, UnknownName
from srbench.files import atomic_write, cache_dir

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """Where a network's weights come from.

    Parameters
    ----------
    name : str
        What it is asked for by.
    url : str
        The file at its authors' host; its name ends in the first digits of its SHA-256.
    keep : str
        Only entries with this prefix are kept; the classifiers are never used.
    convolutions : tuple of int
        Indices of its convolutions in torchvision's ``features``, where the package index has
        them; empty otherwise.
    content : str
        Content hash of the kept entries from the package index.
    """

    name: str
    url: str
    keep: str = "features."
    convolutions: tuple[int, ...] = ()
    content: str = ""

    @property
    def file(self) -> str:
        """Name of the file at its authors' host."""
        return PurePosixPath(self.url).name

    @property
    def sha256_prefix(self) -> str:
        """First digits of the SHA-256 of that file."""
        return PurePosixPath(self.url).stem.rpartition("-")[2]

    @property
    def stored(self) -> Path:
        """Where its weights are kept."""
        return cache_dir() / "weights" / f"{self.name}.safetensors"


TORCHVISION = "https://download.pytorch.org/models/"
BACKBONES = {
    backbone.name: backbone
    for backbone in (
        Backbone(
            name="alexnet",
            url=TORCHVISION + "alexnet-owt-7be5be79.pth",
            convolutions=(0, 3, 6, 8, 10),
            content="da925a089781f4744bc4960b30e0002b7598e5d59650d0f73507df921e683819",
        ),
        Backbone(
            name="vgg16",
            url=TORCHVISION + "vgg16-397923af.pth",
            convolutions=(0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
            content="429c8d1343424972ceb2e9dada96960452f400fd44cd3f3345e5c025dfd8c692",
        ),
        Backbone(name="vgg19", url=TORCHVISION + "vgg19-dcbb9e9d.pth"),
        Backbone(
            name="inception",
            url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
            "pt_inception-2015-12-05-6726825d.pth",
            keep="",
        ),
    )
}


def backbone(name: str) -> Backbone:
    """Return the backbone of that name; raises `UnknownName` if there is none."""
    if name not in BACKBONES:
        raise UnknownName("pretrained network", name, BACKBONES)
    return BACKBONES[name]


def content_hash(state: dict[str, Tensor]) -> str:
    """SHA-256 (hex) over name, dtype, shape and bytes of each entry, sorted by name."""
    digest = hashlib.sha256()
    for key in sorted(state):
        array = state[key].detach().cpu().contiguous().numpy()
        digest.update(f"{key}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def store(one: Backbone, state: dict[str, Tensor], origin: str) -> Path:
    """Keep weights in the cache, with the hash of their content."""
    with told_as_store_error(one.stored):
        one.stored.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"content": content_hash(state), "origin": origin}
    atomic_write(one.stored, save(state, metadata=metadata))
    return one.stored


def read_stored(path: Path, name: str) -> tuple[dict[str, Tensor], str]:
    """Read a stored file and verify its content.

    Returns
    -------
    state : dict of str to Tensor
        The weights.
    origin : str
        Where they came from.

    Raises
    ------
    CorruptFile
        If the content is not what was stored.
    """
    mend = f"delete it and run: srbench fetch weights {name}"
    try:
        with safe_open(path, "pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
        content = content_hash(state)
    except (SafetensorError, OSError, TypeError) as error:  # TypeError: bfloat16, never stored here
        raise CorruptFile(f"{path} is no safetensors file of ours: {error}", hint=mend) from error
    if content != metadata.get("content"):
        raise CorruptFile(f"the content of {path} is not what was stored", hint=mend)
    return state, metadata.get("origin", "unknown")
