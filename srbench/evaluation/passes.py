"""The state of an evaluation, and the three ways in which a method is run for it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import torch

from srbench.evaluation.flags import Flags
from srbench.evaluation.modes import (
    TRAIN_BATCH,
    Rebatch,
    bad_images,
    mapped,
    preserved_randomness,
    train_mode_copy,
)
from srbench.evaluation.pixels import Palettes

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from srbench.api.dataset import CropDataset
    from srbench.api.method import Method
    from srbench.evaluation.column import Column

    Restore = Callable[[Tensor, Tensor], Tensor]
    Tick = Callable[[int], None]

SAMPLES = 12
SAMPLE_SIDE = 256  # HR pixels of the central crop that is kept of a photograph
PATCH_BATCH = 64
NOT_FINITE = "output is not finite"
TRAIN_SEED = 0  # dropout of a map in train mode draws from a state of its own


@dataclass
class Pass:
    """State of an evaluation while it runs."""

    columns: dict[str, Column]
    flags: Flags = field(default_factory=Flags)
    raised: set[str] = field(default_factory=set)
    diverged: str = ""
    samples: list[dict[str, Tensor]] = field(default_factory=list)
    palettes: Palettes = field(default_factory=Palettes)
    seconds_restore: float = 0.0
    seconds_measure: float = 0.0

    def of_mode(self, mode: str) -> list[Column]:
        """Columns of a mode that still take batches."""
        return [c for c in self.columns.values() if c.mode == mode and c.live]

    def keep(self, **images: Tensor) -> None:
        """Keep the first few test images, of large ones the centre, and pixels of all of them."""
        self.palettes.update(images)
        for index in range(min(SAMPLES - len(self.samples), len(images["hr"]))):
            rows = {name: batch[index : index + 1] for name, batch in images.items()}
            self.samples.append(
                {name: _copy(row) for name, row in centre(rows, SAMPLE_SIDE).items()}
            )

    def not_finite(self, mode: str, images: list[int]) -> None:
        """Give up on the metrics of a mode because T's output holds NaN or infinity.

        Parameters
        ----------
        mode : str
            How T was run. In train mode it is not the map that is judged, so that says nothing of
            the cell.
        images : list of int
            Which images or patches, counted from 0, in test order.
        """
        self.raised.add("nan")
        what = "test patch" if mode == "patches" else "test image"
        more = f" and {len(images) - 1} more of its batch" if len(images) > 1 else ""
        reason = f"{NOT_FINITE} on {what} {images[0]}{more}"
        if mode != "train10":
            self.diverged = self.diverged or reason
        for column in self.of_mode(mode):
            column.withdraw(reason)


def _copy(images: Tensor) -> Tensor:
    """Copy to the CPU as float32, so that no larger tensor is kept alive."""
    return images.detach().to("cpu", torch.float32, copy=True)


def centre(images: dict[str, Tensor], side: int) -> dict[str, Tensor]:
    """Cut the same central part out of images of one scene.

    Parameters
    ----------
    images : dict of str to Tensor
        ``"lr"`` and ``"hr"``, and others of HR's size: (N, C, h, w) and (N, C, s * h, s * w). What
        is no image stays as it is.
    side : int
        Most HR pixels of a side that are kept; sides that have no more are not cut.

    Returns
    -------
    dict of str to Tensor
        Parts of whole LR pixels.
    """
    lr = images["lr"]
    if lr.ndim != 4:
        return images
    scale = max(1, images["hr"].shape[-1] // lr.shape[-1])
    kept = [min(size, max(1, side // scale)) for size in lr.shape[-2:]]
    corner = [(size - keep) // 2 for size, keep in zip(lr.shape[-2:], kept, strict=True)]
    parts = {}
    for name, batch in images.items():
        factor = 1 if name == "lr" else scale
        (top, left), (height, width) = ([factor * n for n in pair] for pair in (corner, kept))
        parts[name] = batch[..., top : top + height, left : left + width]
    return parts


def measure_batch(
    restore: Restore,
    run: Pass,
    pair: tuple[Tensor, Tensor],
    first: int,
    mode: Literal["eval", "patches"] = "eval",
) -> None:
    """Map one batch with the method in eval mode and feed the metrics of a mode.

    Parameters
    ----------
    restore : callable
        Gives T(x) as float32 from x and a tensor of the shape it must have.
    run : Pass
        What is fed.
    pair : tuple of Tensor
        x and y.
    first : int
        Index of the first image.
    mode : {"eval", "patches"}
        Whether these are the test images, of which samples are kept and flags raised, or patches.
    """
    lr, hr = pair
    started = now(hr.device)
    prediction = restore(lr, hr)
    restored = now(hr.device)
    if mode == "eval":
        run.keep(lr=lr, prediction=prediction, hr=hr)
    bad = bad_images(prediction)
    if bad:
        run.not_finite(mode, [first + index for index in bad])
    elif mode == "eval" and "nan" not in run.raised:
        run.flags.update(prediction, hr, lr)
    for column in run.of_mode(mode):
        column.update(prediction, hr, lr)
    run.seconds_restore += restored - started
    run.seconds_measure += now(hr.device) - restored


def measure_patches(
    method: Method, run: Pass, dataset: CropDataset, device: torch.device, tick: Tick
) -> None:
    """Map the test patches of a dataset in eval mode and feed the metrics of mode ``"patches"``.

    Whatever fails here costs the values of these metrics and not those of the whole images.

    Parameters
    ----------
    method : Method
        T, in eval mode.
    run : Pass
        What is fed.
    dataset : CropDataset
        Prepared.
    device : torch.device
        Where to work.
    tick : callable
        Called with the number of patches of each batch.
    """
    first = 0
    try:
        for lr, hr in dataset.test_patches(PATCH_BATCH):
            pair = lr.to(device), hr.to(device)
            measure_batch(partial(mapped, method), run, pair, first, mode="patches")
            first += len(hr)
            tick(len(hr))
            if not run.of_mode("patches"):
                return
        reason = "" if first else "the dataset gave no test patches"
    except Exception as error:  # a plugin's code on inputs of another size than its test images
        reason = f"restoring the test patches failed: {type(error).__name__}: {error}"
    if reason:
        for column in run.of_mode("patches"):
            column.withdraw(reason)


class TrainMode:
    """The second mode: a copy of the method in train mode, fed batches of exactly ten."""

    def __init__(self, method: Method, run: Pass) -> None:
        self.run, self.first, self.batches = run, 0, Rebatch(TRAIN_BATCH)
        self.copy: Any = None
        try:
            self.copy = train_mode_copy(method)
        except Exception as error:  # a plugin's module may hold what cannot be copied
            self._withdraw("the method cannot be copied for it", error)

    def measure(self, lr: Tensor, hr: Tensor) -> None:
        """Feed the metrics of this mode every full batch of ten."""
        if not self.run.of_mode("train10"):
            return
        started = now(hr.device)
        try:
            tens = list(self.batches.add(lr, hr))
        except RuntimeError as error:  # what cannot be stacked
            self._withdraw("batches of ten need images of one size", error)
            return
        for x, y in tens:
            if not self.run.of_mode("train10"):
                return
            try:
                with preserved_randomness():
                    torch.manual_seed(TRAIN_SEED + self.first)
                    prediction = mapped(self.copy, x, y)
            except Exception as error:  # a plugin's code in a mode its author may not expect
                self._withdraw("the method fails in train mode", error)
                return
            bad = bad_images(prediction)
            if bad:
                self.run.not_finite("train10", [self.first + index for index in bad])
            for column in self.run.of_mode("train10"):
                column.update(prediction, y, x)
            self.first += len(y)
        self.run.seconds_measure += now(hr.device) - started

    def _withdraw(self, reason: str, error: Exception) -> None:
        for column in self.run.of_mode("train10"):
            column.withdraw(f"{reason}: {type(error).__name__}: {error}")


def now(device: torch.device) -> float:
    """Seconds of a monotonic clock, after the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
