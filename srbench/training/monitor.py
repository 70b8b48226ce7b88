"""Scalars of the steps, kept on the device until all of them are read at once."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from srbench.errors import Diverged
from srbench.training.ranks import ALONE, Ranks


class Monitor:
    """Collects logged values and losses without waiting for the device.

    Parameters
    ----------
    device : torch.device
        Where scalars are kept.
    ranks : Ranks
        Over whom they are averaged.
    """

    def __init__(self, device: torch.device, ranks: Ranks = ALONE) -> None:
        self._device, self._ranks = device, ranks
        self._logged: list[tuple[str, Tensor]] = []
        self._losses: list[tuple[str, int, Tensor]] = []
        self._weights: dict[str, tuple[int, list[Tensor]]] = {}
        self._sums: dict[str, tuple[float, int]] = {}

    def log(self, name: str, value: Tensor | float) -> None:
        """Keep one value of ``name``.

        Raises
        ------
        ValueError
            If the value is not a scalar.
        """
        self._logged.append((name, self._scalar(name, value)))

    def watch(self, optimizer: str, step: int, loss: Tensor, weights: list[Tensor]) -> None:
        """Keep the loss an optimizer minimised at ``step`` (counted from 1) and its weights."""
        self._losses.append((optimizer, step, self._scalar(f"loss of {optimizer}", loss)))
        self._weights[optimizer] = (step, weights)

    def read(self, stage: str) -> None:
        """Bring everything to the host in one transfer and look for what is not finite.

        Raises
        ------
        Diverged
            Naming the first loss, or the gradient, that is NaN or infinite.
        """
        norms = [(name, step, gradient_norm(weights))
                 for name, (step, weights) in self._weights.items()
                 if any(weight.grad is not None for weight in weights)]
        watched = [*self._losses, *norms]
        scalars = [value for _, value in self._logged] + [value for _, _, value in watched]
        if not scalars:
            return
        values = self._ranks.mean(torch.stack(scalars).tolist())
        for (name, _), value in zip(self._logged, values, strict=False):
            total, number = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total + value, number + 1)
        found = zip(watched, values[len(self._logged):], strict=True)
        losses = len(self._losses)
        self._logged, self._losses, self._weights = [], [], {}
        for position, ((name, step, _), value) in enumerate(found):
            if not math.isfinite(value):
                raise diverged("loss" if position < losses else "gradient", name, value, step,
                               stage)

    def means(self) -> dict[str, float]:
        """Mean of every name over the values read since the last call, which begins anew."""
        means = {name: total / number for name, (total, number) in self._sums.items()}
        self._sums = {}
        return means

    def state(self) -> dict[str, list[float]]:
        """Return what is read but not yet averaged."""
        return {name: [total, number] for name, (total, number) in self._sums.items()}

    def load(self, state: dict[str, list[float]]) -> None:
        """Go on from what `state` returned."""
        self._logged, self._losses, self._weights = [], [], {}
        self._sums = {name: (total, int(number)) for name, (total, number) in state.items()}

    def _scalar(self, name: str, value: Tensor | float) -> Tensor:
        """Copy one value: its memory may be written again before it is read."""
        if not isinstance(value, Tensor):
            return torch.full((), value, dtype=torch.float32, device=self._device)
        if value.numel() != 1:
            raise ValueError(f"{name} has the shape {tuple(value.shape)}, not that of a scalar")
        return value.detach().reshape(()).to(self._device, torch.float32, copy=True,
                                             non_blocking=self._device.type == "cuda")


def gradient_norm(weights: list[Tensor]) -> Tensor:
    """2-norm over all gradients of ``weights``, a scalar on their device."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    return torch.nn.utils.get_total_norm(gradients).to(torch.float32)


def check_weights(modules: Iterable[tuple[str, nn.Module]], step: int, stage: str) -> None:
    """Raise `Diverged` if a value of a network is not finite.

    Raises
    ------
    Diverged
        Naming the network.
    """
    for name, module in modules:
        sums = [weight.detach().sum(dtype=torch.float32) for weight in module.parameters()]
        if sums:
            value = float(torch.stack(sums).sum())
            if not math.isfinite(value):
                raise diverged("weights", name, value, step, stage)


def diverged(what: str, name: str, value: float, step: int, stage: str) -> Diverged:
    """Build the error that names what is not finite, where and when."""
    where = "" if stage == "main" else f" of stage {stage!r}"
    word = "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    verb = "are" if what == "weights" else "is"
    return Diverged(f"{what} of {name!r} {verb} {word} at step {step}{where}",
                    hint="lower the learning rate, or train with --precision fp32")
