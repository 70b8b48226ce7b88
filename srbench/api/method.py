"""The contract of a method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from srbench.api.parameters import Parameters

if TYPE_CHECKING:
    from srbench.api.problem import Problem
    from srbench.training import Training


class Method(nn.Module, ABC):
    """A map T from low to high resolution, and how it is learned.

    Subclasses define ``Params``, `build`, `fit` and `forward`. The harness seeds every random
    generator before `build`, moves the module to its device, and evaluates it in eval mode.

    Parameters
    ----------
    params : Parameters
        Resolved parameters, an instance of the class's own ``Params``.
    problem : Problem
        Shapes and domain of the data.

    Attributes
    ----------
    params, problem
        As given.
    distributed : bool
        Whether `fit` may run in several processes that share every batch and average gradients
        (``docs/write-a-method.md`` says what that takes).
    """

    Params: ClassVar[type[Parameters]] = Parameters
    distributed: ClassVar[bool] = False

    def __init__(self, params: Parameters, problem: Problem) -> None:
        super().__init__()
        self.params = params
        self.problem = problem
        self.build()

    @classmethod
    def requires(cls, params: Parameters) -> tuple[str, ...]:
        """Names of the pretrained backbones these parameters need, e.g. ``("vgg19",)``.

        ``srbench run`` fetches the missing ones before the first cell; `build` still has to load
        them, and fails with the mending command where they could not be had.
        """
        return ()

    def notes(self) -> list[str]:
        """Sentences a reader of the record needs: what differs from what the name promises."""
        return []

    def build(self) -> None:
        """Create the networks of the map from ``self.params`` and ``self.problem``.

        Raises
        ------
        Skipped
            If the method makes no sense for the problem.
        """

    @abstractmethod
    def fit(self, training: Training) -> None:
        """Learn from ``training.lr(n)`` and ``training.hr(n)``, independent unpaired samples."""

    @abstractmethod
    def forward(self, lr: Tensor) -> Tensor:
        """Map ``lr`` of shape (N, 3, h, w) to (N, 3, s*h, s*w), or (N, d) to (N, d)."""
