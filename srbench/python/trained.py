"""`srbench.load`: the trained map of a finished cell, to be called.

Legend: T = the map, x = an LR image or vector, s = the scale.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from srbench.errors import UsageError
from srbench.evaluation.modes import eval_mode, full_precision, mapped_to, preserved_randomness
from srbench.evaluation.reducers import shards
from srbench.evaluation.restorer import Restorer
from srbench.python.cell import CellFolder, find_cell
from srbench.python.rebuild import rebuild
from srbench.running.request import choose_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

    from srbench.api.dataset import Dataset
    from srbench.api.method import Method
    from srbench.results.record import Record

BATCH = 64  # as in an evaluation: features of some devices depend on the batch size


class TrainedMap:
    """T of a finished cell, in eval mode; calling it changes nothing of it.

    Parameters
    ----------
    method : Method
        Trained, on its device.
    dataset : Dataset
        What it was trained on; not prepared.
    record : Record
        Of the cell.
    device : torch.device
        Where the map is.
    oracle : bool
        Whether its weights are those the ground truth would have chosen.

    Attributes
    ----------
    method, dataset, record, device, oracle
        As given.
    problem : Problem
        Shapes, domain and scale of the data.
    notes : list of str
        What the last call must tell, e.g. that an image was restored in tiles.
    """

    def __init__(self, method: Method, dataset: Dataset, record: Record, device: torch.device, *,
                 oracle: bool = False) -> None:
        self.method, self.dataset, self.record = method.eval(), dataset, record
        self.device, self.oracle, self.problem = device, oracle, dataset.problem
        self.notes: list[str] = []

    def __repr__(self) -> str:
        identity = self.record.identity
        which = f", oracle at step {self.record.values.oracle_step}" if self.oracle else ""
        return (f"<TrainedMap {identity.label} on {identity.title}, seed {identity.seed}{which}: "
                f"{identity.key[:10]} on {self.device}>")

    def __call__(self, x: Tensor | Image | Path | str) -> Any:
        """Restore images or map vectors.

        Parameters
        ----------
        x : Tensor or PIL image or path
            A float tensor of nominal range [-1, 1]: (N, 3, h, w), (3, h, w), (N, d) or (d,); or an
            image, or the path of an image file.

        Returns
        -------
        Tensor or PIL image
            Of a tensor: T(x), float32, on its device and without gradient: (N, 3, s*h, s*w) or
            (N, d); without N where ``x`` has none; not clamped. Of an image or a file: the restored
            8-bit RGB image, with alpha where it had any. Photographs that do not fit into memory
            are restored in tiles, which `notes` then says.

        Raises
        ------
        UsageError
            If ``x`` is not of the kind or shape that the map takes.
        DataError
            If the file is damaged, too large, or of a kind that would lose values (16 bits, CMYK).
        PluginError
            If the method cannot take images of that size.
        """
        if isinstance(x, Tensor):
            return self._tensor(x)
        from srbench.python.pictures import Picture, read_picture

        self.check_images()
        picture = read_picture(x, self.problem.scale) if isinstance(x, str | Path) \
            else Picture.of(x, self.problem.scale)
        return self.restore(picture)

    def restore(self, picture: Any) -> Image:
        """Restore a `srbench.python.pictures.Picture` and return a PIL image."""
        restored: Image = picture.restored(self._tensor(picture.pixels)[0])
        return restored

    def check_images(self) -> None:
        """Raise `UsageError` if the map takes no images."""
        if not self.problem.is_image:
            raise UsageError(
                f"{self.record.identity.label} on {self.record.identity.title} maps vectors of "
                f"{self.problem.dim} values, no images", hint="call it on a tensor "
                f"(N, {self.problem.dim}), or take a record of a dataset of images")

    def _tensor(self, x: Tensor) -> Tensor:
        batch = self._batch(x)
        with preserved_randomness(), full_precision(), eval_mode(self.method), torch.no_grad():
            output = self._mapped(batch.to(self.device, torch.float32)).to(x.device)
        return output if batch is x else output[0]

    def _batch(self, x: Tensor) -> Tensor:
        """``x`` with a batch dimension; raises `UsageError` where its shape is another."""
        wanted = len(self.problem.lr_shape)
        batch = x[None] if x.ndim == wanted else x
        fits = batch.ndim == wanted + 1 and (
            batch.shape[1] == 3 if self.problem.is_image
            else tuple(batch.shape[1:]) == self.problem.lr_shape)
        if not fits or not batch.numel():
            sample = "(N, 3, h, w)" if self.problem.is_image else f"(N, {self.problem.dim})"
            raise UsageError(f"{self.record.identity.label} was called on a tensor of shape "
                             f"{tuple(x.shape)}", hint=f"it takes {sample}, or one sample of it")
        if not batch.is_floating_point():
            raise UsageError(f"{self.record.identity.label} was called on a tensor of {x.dtype}",
                             hint="it takes floats of nominal range [-1, 1]: bytes / 127.5 - 1")
        return batch

    def _mapped(self, batch: Tensor) -> Tensor:
        problem, self.notes = self.problem, []
        if not problem.is_image or tuple(batch.shape[1:]) == problem.lr_shape:
            return torch.cat([mapped_to(self.method, part, (len(part), *problem.hr_shape))
                              for part in shards(batch, BATCH)])
        restorer = Restorer(self.method, problem.scale, self.device)
        height, width = (side * problem.scale for side in batch.shape[2:])
        try:
            parts = [restorer(part, torch.empty(len(part), 3, height, width, device="meta"))
                     for part in shards(batch, BATCH)]
        except torch.cuda.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, IndexError) as error:
            raise UsageError(
                f"{self.record.identity.label} cannot take an image of {batch.shape[3]} x "
                f"{batch.shape[2]} pixels: {str(error).splitlines()[0]}",
                hint="it was trained on " + " x ".join(map(str, problem.lr_shape[:0:-1]))
                + ": crop, or pad to a multiple of 16") from error
        self.notes = [note.replace("test images were", "images were")
                      for note in restorer.notes()]
        return torch.cat(parts)


def load(record: Record | Path | str, *, runs: Path | str = "runs", device: str = "cpu",
         oracle: bool = False, plugins: Path | str | Sequence[Path | str] = ()) -> TrainedMap:
    """Load the trained map of a finished cell.

    Its method is built anew from the record's parameters and given the weights of the cell's
    checkpoint. Methods that learn in no step are fitted again, which takes no training.

    Parameters
    ----------
    record : Record, str or path
        A record; a key, or the beginning of one that no other cell has; a cell's folder or its
        ``record.json``.
    runs : path
        Where keys and records are looked up.
    device : str
        Where the map goes: ``"cpu"``, ``"cuda"``.
    oracle : bool
        Take the weights of the best validation instead of the last: they were chosen by ground
        truth.
    plugins : path or sequence of paths
        Plugins in Python files, beside the installed ones. Those that a cell was run with are not
        taken from its folder, which may be anybody's.

    Returns
    -------
    TrainedMap
        In eval mode, to be called.

    Raises
    ------
    UsageError
        If no or several cells are meant, or the device is absent.
    StoreError
        If the cell is not ok, its checkpoint is missing, torn or not the record's, or its weights
        do not fit.
    PluginError, MissingDependency, DataError
        If its method or dataset cannot be had.

    Warns
    -----
    UserWarning
        If the code of the method or the data changed since the cell ran.
    """
    cell: CellFolder = find_cell(record, Path(runs))
    place = torch.device(choose_device(device))
    paths = [plugins] if isinstance(plugins, str | Path) else plugins
    method, dataset, doubts = rebuild(cell, place, oracle=oracle,
                                      plugins=[Path(path) for path in paths])
    for doubt in doubts:
        warnings.warn(doubt, stacklevel=2)
    return TrainedMap(method, dataset, cell.record, place, oracle=oracle)


__all__ = ["TrainedMap", "load"]
