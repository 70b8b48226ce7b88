"""Independent draws of LR and HR samples, each a pure function of (seed, stream, number)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from srbench.api.dataset import CropDataset, Dataset, PoolSettings
from srbench.errors import DataError, ParameterError
from srbench.training.precision import channels_last
from srbench.training.ranks import ALONE, Ranks
from srbench.training.seeding import mix

Draw = Callable[[int, torch.Generator], Tensor]


class SizedDraw(Protocol):
    """Draws samples, of the usual size where ``size`` is None."""

    def __call__(self, n: int, generator: torch.Generator, size: int | None) -> Tensor:
        """Return ``n`` samples."""
        ...


class Pool:
    """Samples of one stream kept on the device, refreshed block by block.

    Block ``b`` is made from ``(seed, stream, "block", b)`` and lives in slot ``b mod B`` of the
    ``B = size / block`` slots. Before draw ``k`` the blocks up to ``B + k // refresh_every`` (not
    included) have been made, so the content is a function of ``k`` alone.

    Parameters
    ----------
    draw : callable
        Makes samples from a number and a generator.
    settings : PoolSettings
        Size, block and refresh rate.
    stream : str
        ``"lr"`` or ``"hr"``.
    seed : int
        Seed of the cell.
    filling : callable
        Context in which the whole pool is filled.
    ranks : Ranks
        Who share a batch; each has the whole pool.
    """

    def __init__(self, draw: Draw, settings: PoolSettings, stream: str, seed: int,
                 filling: Callable[[], AbstractContextManager[object]],
                 ranks: Ranks = ALONE) -> None:
        self._draw, self.settings = draw, settings
        self._stream, self._seed, self._filling = stream, seed, filling
        self._ranks = ranks
        self._slots = settings.size // settings.block
        self._made = 0
        self._rows: Tensor | None = None

    def batch(self, n: int, number: int, generator: torch.Generator) -> Tensor:
        """Pick ``n`` different samples for draw ``number`` and return this process's share.

        Images come out as NHWC in memory.
        """
        if n > self.settings.size:
            raise ParameterError(f"a batch of {n} cannot be drawn from a pool of "
                                 f"{self.settings.size} samples",
                                 hint="raise the dataset's pool size or lower the batch size")
        rows = self._at(number, generator)
        shift = generator.initial_seed() % self.settings.size
        picked = stratified(n, self.settings.size, shift, generator)
        batch = rows.index_select(0, self._ranks.mine(picked))
        return batch.permute(0, 3, 1, 2) if batch.dim() == 4 else batch

    def _at(self, number: int, generator: torch.Generator) -> Tensor:
        """Return the pool as it is before draw ``number``: (size, h, w, 3) or (size, d)."""
        every = self.settings.refresh_every
        wanted = self._slots + (number // every if every else 0)
        if wanted < self._made:
            self._made = 0
        missing = range(max(self._made, wanted - self._slots), wanted)
        if missing:
            seed = generator.initial_seed()
            if len(missing) == self._slots:
                with self._filling():
                    self._make(missing, generator)
            else:
                self._make(missing, generator)
            generator.manual_seed(seed)
            self._made = wanted
        assert self._rows is not None
        return self._rows

    def _make(self, blocks: range, generator: torch.Generator) -> None:
        """Make ``blocks`` and put each into its slot."""
        for block in blocks:
            generator.manual_seed(mix(self._seed, self._stream, "block", block))
            samples = self._draw(self.settings.block, generator)
            rows = samples.permute(0, 2, 3, 1) if samples.dim() == 4 else samples
            if self._rows is None:
                self._rows = rows.new_empty((self.settings.size, *rows.shape[1:]))
            start = block % self._slots * self.settings.block
            self._rows[start:start + self.settings.block] = rows


def stratified(n: int, size: int, shift: int, generator: torch.Generator) -> Tensor:
    """Return ``n`` different indices below ``size`` at a cost that does not depend on ``size``.

    One index is drawn from each of ``n`` strata of ``size // n`` neighbours, and all are turned by
    one shift: ``(shift + i * width + u_i) mod size``. With a uniform shift (`Pool` takes the
    draw's seed modulo the size) every index is uniform. The samples of a pool are independent
    of one another, so which neighbours cannot meet in a batch does not matter.
    """
    width = size // n
    starts = torch.arange(shift, shift + n * width, width, device=generator.device)
    within = torch.randint(width, (n,), generator=generator, device=generator.device)
    return starts.add_(within).remainder_(size)


class Sampler:
    """Serves LR and HR batches and counts them.

    Within stages draws come from the dataset's pool where it has one. Draws outside stages are
    always fresh and numbered anew behind each stage: a resumed training repeats them.

    In a training of several processes all make the same draws. Within stages each keeps its share;
    outside, where no gradient is averaged, each has the whole batch and does the same with it.

    Parameters
    ----------
    dataset : Dataset
        What is drawn from.
    seed : int
        Seed of the cell.
    device : torch.device
        Device of generators and samples.
    filling : callable
        Context in which a pool is filled.
    ranks : Ranks
        Who share a batch.
    """

    def __init__(self, dataset: Dataset, seed: int, device: torch.device,
                 filling: Callable[[], AbstractContextManager[object]],
                 ranks: Ranks = ALONE) -> None:
        self._seed, self._device, self._ranks = seed, device, ranks
        self._draws: dict[str, SizedDraw] = {stream: self._checked(dataset, stream)
                                        for stream in ("lr", "hr")}
        self._shapes = {"lr": dataset.problem.lr_shape, "hr": dataset.problem.hr_shape}
        self._generator = torch.Generator(device)
        self._place: str | None = "start"
        self._outside = dict.fromkeys(self._draws, 0)
        self.counters = dict.fromkeys(self._draws, 0)
        settings = dataset.pool
        self._pools = {} if settings is None else {
            stream: Pool(partial(draw, size=None), settings, stream, seed, filling, ranks)
            for stream, draw in self._draws.items()}

    def enter(self) -> None:
        """Draws belong to a stage from now on."""
        self._place = None

    def leave(self, stage: str) -> None:
        """Draws come behind ``stage`` from now on, numbered anew."""
        self._place = f"after {stage}"
        self._outside = dict.fromkeys(self._draws, 0)

    def draw(self, stream: str, n: int, size: int | None = None) -> Tensor:
        """Return this process's share of the next ``n`` samples of ``stream``, float32.

        ``size`` asks a dataset of photographs for crops of another side than the usual one.
        """
        if n < 1:
            raise ValueError(f"{n} samples of {stream} cannot be drawn")
        if self._place is not None:
            number, self._outside[stream] = self._outside[stream], self._outside[stream] + 1
            self._generator.manual_seed(mix(self._seed, stream, self._place, number))
            return self._draws[stream](n, self._generator, size)
        number, self.counters[stream] = self.counters[stream], self.counters[stream] + 1
        self._generator.manual_seed(mix(self._seed, stream, number))
        if stream in self._pools and size is None:
            return self._pools[stream].batch(n, number, self._generator)
        return self._ranks.mine(self._draws[stream](n, self._generator, size))

    def _checked(self, dataset: Dataset, stream: str) -> SizedDraw:
        """Bring what a dataset returns to float32 on the device, NHWC in memory."""

        def checked(n: int, generator: torch.Generator, size: int | None) -> Tensor:
            if size is None:
                draw = dataset.sample_lr if stream == "lr" else dataset.sample_hr
                samples, wanted = draw(n, generator), (n, *self._shapes[stream])
            else:
                samples = _crops(dataset, stream, n, generator, size)
                wanted = (n, 3, size, size)
            samples = samples.detach().to(self._device, torch.float32)
            if samples.shape != wanted:
                raise ValueError(f"sample_{stream}({n}) returned the shape {tuple(samples.shape)}, "
                                 f"not {wanted}")
            return channels_last(samples)

        return checked


def _crops(dataset: Dataset, stream: str, n: int, generator: torch.Generator,
           size: int) -> Tensor:
    """Draw crops of a side other than the usual one; only photographs have them."""
    if not isinstance(dataset, CropDataset):
        raise DataError(f"{dataset.title} has samples of one size only, not of {size}",
                        hint="ask for a size only where problem.domain is \"sr\"")
    draw = dataset.sample_lr if stream == "lr" else dataset.sample_hr
    return draw(n, generator, size)
