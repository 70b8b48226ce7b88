"""What a dataset or metric does to its process: network asked, settings and randomness changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from srbench.conformance.offline import offline
from srbench.engine.footprint import Footprint
from srbench.training.seeding import rng_state

CPU = torch.device("cpu")
SEED = "torch's generator"  # that it was seeded shows in its state too


class Effects:
    """Collects what code did to the process besides its work, and puts settings back.

    Attributes
    ----------
    asked : list of str
        Addresses the network was asked for.
    changes : list of str
        Settings that were changed, a sentence each.
    disturbed : list of str
        Which code moved a global random generator.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.changes: list[str] = []
        self.disturbed: list[str] = []

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Take what the body does, the code ``what``, which has no network."""
        with offline() as asked:
            before, footprint = rng_state(CPU), Footprint()
            try:
                yield
            finally:
                self.asked += asked
                if not same_state(before, rng_state(CPU)):
                    self.disturbed.append(what)
                self.changes += [text.removeprefix("the method ").partition("; put back")[0]
                                 for text in footprint.undo() if SEED not in text]


def same_state(one: Any, other: Any) -> bool:
    """Whether two states of the global generators, as `rng_state` gives them, are equal."""
    if isinstance(one, dict):
        return all(same_state(one[key], other[key]) for key in one)
    if isinstance(one, Tensor):
        return torch.equal(one, torch.as_tensor(other))
    return bool(np.all(one == other))
