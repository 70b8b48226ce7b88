"""The state of an evaluation, and the two ways in which a method is run for it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.method import Method
    from srbench.evaluation.column import Column

SAMPLES = 8
NOT_FINITE = "output is not finite"
TRAIN_SEED = 0  # dropout of a map in train mode draws from a state of its own


@dataclass
class Pass:
    """State of an evaluation while it runs."""

    columns: dict[str, Column]
    flags: Flags = field(default_factory=Flags)
    raised: set[str] = field(default_factory=set)
    samples: dict[str, list[Tensor]] = field(default_factory=dict)
    kept: int = 0
    seconds_restore: float = 0.0
    seconds_measure: float = 0.0

    def of_mode(self, mode: str) -> list[Column]:
        """Columns of a mode that still take batches."""
        return [c for c in self.columns.values() if c.mode == mode and c.live]

    def keep(self, **images: Tensor) -> None:
        """Keep the first few test images."""
        room = SAMPLES - self.kept
        if room > 0:
            for name, tensor in images.items():
                self.samples.setdefault(name, []).append(tensor[:room].float().cpu())
            self.kept += min(room, len(images["hr"]))

    def not_finite(self, mode: str, first: int, bad: int) -> None:
        """Give up on the metrics of a mode because T's output holds NaN or infinity."""
        self.raised.add("nan")
        for column in self.of_mode(mode):
            column.withdraw(f"{NOT_FINITE}: {bad} images of the batch that starts at image {first}")


def measure_batch(method: Method, run: Pass, pair: tuple[Tensor, Tensor], first: int) -> None:
    """Map one batch in eval mode and feed the metrics of that mode."""
    lr, hr = pair
    started = now(hr.device)
    prediction = mapped(method, lr, hr)
    restored = now(hr.device)
    run.keep(lr=lr, prediction=prediction, hr=hr)
    bad = bad_images(prediction)
    if bad:
        run.not_finite("eval", first, bad)
    elif "nan" not in run.raised:
        run.flags.update(prediction, hr, lr)
    for column in run.of_mode("eval"):
        column.update(prediction, hr, lr)
    run.seconds_restore += restored - started
    run.seconds_measure += now(hr.device) - restored


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
        started = now(hr.device)
        for x, y in self.batches.add(lr, hr):
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
                self.run.not_finite("train10", self.first, bad)
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
