"""A short training in this process, as the harness runs it in a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from srbench.api.method import Method
from srbench.registry.catalog import discover
from srbench.training.budget import Budget
from srbench.training.result import TrainingResult
from srbench.training.seeding import seed_everything
from srbench.training.training import Training
from srbench.training.validation import undisturbed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from srbench.api.dataset import Dataset

STEPS = 8


@dataclass(frozen=True)
class Trained:
    """A method after its training.

    Attributes
    ----------
    method : Method
        The map.
    result : TrainingResult
        Stages with their costs, history, number of steps.
    """

    method: Method
    result: TrainingResult

    def weights(self) -> dict[str, Tensor]:
        """Copies of all parameters and buffers of the map, by name."""
        return {name: value.detach().clone() for name, value in self.method.state_dict().items()}

    def map(self, lr: Tensor) -> Tensor:
        """Return T(lr) in eval mode without gradients, as it is evaluated."""
        with undisturbed(self.method, lr.device):
            mapped: Tensor = self.method(lr)
        return mapped


def train(method: type[Method] | str, dataset: Dataset, *,
          params: Mapping[str, object] | None = None, preset: str = "quick", seed: int = 0,
          steps: int | None = STEPS, device: str = "cpu", **options: Any) -> Trained:
    """Build a method and fit it on a dataset under the harness's own `Training`.

    Parameters
    ----------
    method : type or str
        Subclass of `srbench.Method`, or the name of an installed one.
    dataset : Dataset
        Such as `srbench.testing.SyntheticImages`.
    params : mapping, optional
        Parameters by public name, beside those of the preset.
    preset : str
        One of the presets of the method.
    seed : int
        Seed of the cell; global random generators are seeded from it.
    steps : int or None
        Budget, in steps of all stages together; None trains to the end.
    device : str
        ``"cpu"`` or ``"cuda"``.
    **options
        Further arguments of `srbench.Training`, e.g. ``folder`` or ``budget`` in place of
        ``steps``.

    Returns
    -------
    Trained
        The fitted map and what its training cost.

    Raises
    ------
    UnknownName, ParameterError
        If there is no such method, preset or parameter.
    Skipped
        If the method makes no sense for the dataset.

    Examples
    --------
    >>> from srbench.testing import SyntheticVectors, train
    >>> train("linear", SyntheticVectors(), steps=None).result.steps
    64
    """
    cls: type[Method] = discover().method(method).load() if isinstance(method, str) else method
    place = torch.device(device)
    options.setdefault("budget", None if steps is None else Budget(steps=steps))
    dataset.prepare(place)
    seed_everything(seed)
    built = cls(cls.Params.resolve(preset, dataset.problem.domain, params or {}), dataset.problem)
    training = Training(built.to(place), dataset, seed=seed, device=place, **options)
    built.fit(training)
    return Trained(built, training.finish())
