"""The three clocks of a training: seconds, images drawn, network calls; kept by stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from srbench.results.record import StageCost

OUTSIDE = "outside stages"


@dataclass
class Counts:
    """What one stage has used so far.

    Attributes
    ----------
    steps, images : int
        Steps finished; LR and HR samples drawn.
    seconds : float
        Time spent training, validation and checkpoints excluded.
    calls : dict of str to int
        Samples passed through each network.
    finished : bool
        Whether the stage is over; a finished stage is not run again.
    """

    name: str
    steps: int = 0
    seconds: float = 0.0
    images: int = 0
    calls: dict[str, int] = field(default_factory=dict)
    finished: bool = False

    def cost(self) -> StageCost:
        """Return the counts as the record keeps them."""
        return StageCost(name=self.name, steps=self.steps, seconds=self.seconds,
                         images=self.images, calls=dict(self.calls))


class Ledger:
    """Charges time, images and calls to the open stage.

    The clock runs while a stage is open, except inside `paused`; there calls are not counted
    either. On a GPU it is read after a synchronisation where it is stopped or flushed, and in
    between it is the host's time.

    Parameters
    ----------
    device : torch.device
        What is synchronised.
    world : int
        Processes of the training: calls in this one stand for as many in each.
    """

    def __init__(self, device: torch.device, world: int = 1) -> None:
        self._device, self._world = device, world
        self._since: float | None = None
        self._open: Counts | None = None
        self._counting = self._charging = True
        self.stages: dict[str, Counts] = {}

    def open(self, name: str) -> Counts:
        """Charge everything to the stage ``name`` from now on."""
        self._open = self._of(name)
        self._since = time.perf_counter()
        return self._open

    def close(self) -> None:
        """Stop the clock; what is counted outside stages is kept apart."""
        self.read()
        self._open, self._since = None, None

    def read(self) -> None:
        """Wait for the device and carry the running time into the open stage."""
        self._synchronise()
        if self._open is not None and self._since is not None:
            now = time.perf_counter()
            self._open.seconds += now - self._since
            self._since = now

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Charge neither time nor calls for the body."""
        self.read()
        since, self._since = self._since, None
        counting, self._counting = self._counting, False
        try:
            yield
        finally:
            self._counting = counting
            if since is not None:
                self._synchronise()
                self._since = time.perf_counter()

    @contextmanager
    def uncharged(self) -> Iterator[None]:
        """Charge nothing for the body, drawn samples included."""
        charging, self._charging = self._charging, False
        try:
            with self.paused():
                yield
        finally:
            self._charging = charging

    @contextmanager
    def by_one(self) -> Iterator[None]:
        """Count the body's calls as those of one process."""
        world, self._world = self._world, 1
        try:
            yield
        finally:
            self._world = world

    def count_images(self, number: int) -> None:
        """Charge ``number`` drawn samples, unless nothing is charged."""
        if self._charging:
            self._current().images += number

    def count_calls(self, network: str, number: int) -> None:
        """Charge ``number`` samples passed through ``network`` by each process, unless paused."""
        if self._counting:
            calls = self._current().calls
            calls[network] = calls.get(network, 0) + number * self._world

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(counts.steps for counts in self.stages.values())

    @property
    def seconds(self) -> float:
        """Time of all stages up to now."""
        running = 0.0 if self._since is None else time.perf_counter() - self._since
        return sum(counts.seconds for counts in self.stages.values()) + running

    @property
    def images(self) -> int:
        """Samples drawn in all stages."""
        return sum(counts.images for counts in self.stages.values())

    @property
    def calls(self) -> int:
        """Samples passed through all networks in all stages."""
        return sum(sum(counts.calls.values()) for counts in self.stages.values())

    def state(self) -> list[dict[str, Any]]:
        """Return the counts of all stages as JSON data."""
        return [asdict(counts) for counts in self.stages.values()]

    def load(self, state: list[dict[str, Any]]) -> None:
        """Go on from counts `state` returned."""
        self.stages = {item["name"]: Counts(**item) for item in state}

    def _of(self, name: str) -> Counts:
        return self.stages.setdefault(name, Counts(name))

    def _current(self) -> Counts:
        return self._open if self._open is not None else self._of(OUTSIDE)

    def _synchronise(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
