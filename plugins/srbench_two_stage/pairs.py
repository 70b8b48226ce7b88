"""Pairs generated between the two stages: what the released codes write to folders of PNG files.

They lie in the training's scratch folder as bytes, so an interrupted training finds them again.
Of several processes the first makes them, and each cuts its own part of a batch.
Photographs that serve as HR images as they are are read from the dataset, not copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from srbench.errors import DataError
from srbench.imagestore import TURNS, ImageStore, random_places, turned
from srbench.networks.resize import truncate_to_uint8
from srbench.training import mix
from srbench_two_stage.crops import upload

if TYPE_CHECKING:
    from pathlib import Path

    from srbench.training import Step, Training

Role = Literal["lr", "hr"]
Size = tuple[int, int]


class Generated(NamedTuple):
    """What is made of one photograph, (1, c, h, w) each, in [0, 1].

    ``hr`` is None where the photograph itself is the HR image; ``weights`` is a map over the LR
    image, at half its size.
    """

    lr: Tensor
    hr: Tensor | None = None
    weights: Tensor | None = None


@dataclass(frozen=True)
class Recipe:
    """How pairs are made of the photographs of one role.

    Attributes
    ----------
    role : {"lr", "hr"}
        Which training photographs.
    hr_size : callable
        Takes (height, width) of a photograph; returns those of its HR image.
    make : callable
        Takes a photograph (1, 3, h, w) in [0, 1]; returns the `Generated` pair.
    copies : bool
        Whether ``make`` returns an HR image of its own.
    """

    role: Role
    hr_size: Callable[[Size], Size]
    make: Callable[[Tensor], Generated]
    copies: bool


class Made(nn.Module):
    """Number of pairs made, kept in checkpoints."""

    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))


class Pairs:
    """Pairs of one training.

    Parameters
    ----------
    training : Training
        Gives photographs, scratch folder and seed.
    recipes : sequence of Recipe
        Pairs of all of them are mixed: photograph by photograph in a random order, so that a
        budget that ends early leaves a fair part of each.
    hr_crop : int
        Side of the HR crops to come; smaller images are left out.
    weighted : bool
        Whether the recipes make weights; crops then lie at even LR positions.

    Raises
    ------
    DataError
        If no image holds a crop.
    """

    def __init__(
        self, training: Training, recipes: Sequence[Recipe], hr_crop: int, *, weighted: bool = False
    ) -> None:
        self._training, self._weighted = training, weighted
        self._scale = training.problem.scale
        self._hr_crop, self._lr_crop = hr_crop, hr_crop // self._scale
        self._images = {recipe.role: training.images(recipe.role) for recipe in recipes}
        found = [(recipe, index, self._size(recipe, index))
                 for recipe in recipes for index in range(len(self._images[recipe.role]))]
        jobs = [job for job in found if min(job[2]) >= hr_crop]
        if not jobs:
            raise DataError(f"no training photograph gives an HR image of {hr_crop} x {hr_crop}",
                            hint="use larger photographs")
        order = np.random.default_rng(mix(training.seed, "pairs")).permutation(len(jobs))
        self._jobs = [jobs[i] for i in order]
        self._made: Made = training.track(pairs=Made())
        self._stores: dict[str, ImageStore] = {}
        self._complete = False

    def make(self, steps: Iterator[Step]) -> None:
        """Generate pairs, one a step.

        Parameters
        ----------
        steps : iterator of Step
            Of a stage of its own, `len` (self) steps long.
        """
        for step in steps:
            with self._training.once() as mine:
                if mine and not self._stores:
                    self._open(fresh=step.index == 0)
                if mine:
                    self._put(step.index)
            self._made.count.fill_(step.index + 1)
        self._number = max(1, int(self._made.count))

    def __len__(self) -> int:
        """Return the number of pairs there can be."""
        return len(self._jobs)

    @property
    def number(self) -> int:
        """Number of pairs there are: those that were made, at least one."""
        return self._number

    def batch(self, n: int, number: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Draw aligned crops, flipped and turned alike; a function of the seed and ``number``.

        Returns
        -------
        lr, hr : Tensor
            (n, 3, p, p) and (n, 3, s * p, s * p) in [0, 1], on the training's device; of W
            processes each gets its n / W.
        weights : Tensor or None
            (n, 1, p / 2, p / 2).
        """
        if not self._complete:
            self._make_complete()
        generator = torch.Generator().manual_seed(mix(self._training.seed, "pair batch", number))
        shapes = self._stores["lr"].shapes[: self._number]
        which, tops, lefts = random_places(shapes, n, self._lr_crop, generator,
                                           grid=2 if self._weighted else 1)
        rows = self._training.rows(n)
        places = which[rows], tops[rows], lefts[rows]
        turns = torch.randint(TURNS, (n,), generator=generator).numpy()[rows]
        device = self._training.device
        lr = self._stores["lr"].crops(*places, self._lr_crop, turns)
        hr = np.stack([self._hr(which, top, left, turn)
                       for which, top, left, turn in zip(*places, turns, strict=True)])
        self._training.charge(images=2 * n)
        weights = None
        if self._weighted:
            half = self._stores["weights"].crops(places[0], places[1] // 2, places[2] // 2,
                                                 self._lr_crop // 2, turns)
            weights = upload(half, device)
        return upload(lr, device), upload(hr, device), weights

    def _hr(self, which: int, top: int, left: int, turn: int) -> np.ndarray:
        """Cut the HR crop that belongs to an LR crop, as a view."""
        recipe, index, _ = self._jobs[which]
        if recipe.copies:
            image: np.ndarray = self._stores["hr"][self._copies[which]]
        else:
            image = self._images[recipe.role].raw(index).permute(1, 2, 0).numpy()
        top, left = self._scale * top, self._scale * left
        return turned(image[top : top + self._hr_crop, left : left + self._hr_crop], turn)

    def _size(self, recipe: Recipe, index: int) -> Size:
        """Sides of the HR image of a photograph, cut to multiples of the scale."""
        height, width = recipe.hr_size(self._images[recipe.role].shape(index))
        return height - height % self._scale, width - width % self._scale

    def _open(self, *, fresh: bool) -> None:
        """Begin the stores, or go on with those an earlier process left."""
        begin = ImageStore.create if fresh else ImageStore.resume
        folder: Path = self._training.scratch("pairs")
        lr = [(height // self._scale, width // self._scale) for _, _, (height, width) in self._jobs]
        self._stores["lr"] = begin(folder / "lr", lr)
        copies = [i for i, (recipe, _, _) in enumerate(self._jobs) if recipe.copies]
        self._copies = {job: at for at, job in enumerate(copies)}
        if copies:
            self._stores["hr"] = begin(folder / "hr", [self._jobs[i][2] for i in copies])
        if self._weighted:
            half = [(-(-height // 2), -(-width // 2)) for height, width in lr]
            self._stores["weights"] = begin(folder / "weights", half, channels=1, dtype="float32")

    def _make_complete(self) -> None:
        """Before the first batch, make what is missing.

        That is the only pair where the budget left their stage no step, and what was lost since an
        earlier process made it. Within a step, so that it is made in the precision it was made in.
        """
        none = int(self._made.count) == 0
        with self._training.once() as mine:
            if mine and not self._stores:
                self._open(fresh=none)
            if mine and none:
                self._put(0)
        if none:
            self._made.count.fill_(1)
        with self._training.uncharged():
            for index in range(self._number):
                with self._training.once() as mine:  # each by itself: nobody waits for long
                    lost = mine and not all(store.has(at) for store, at in self._places(index))
                    if lost:
                        self._put(index)
                self._training.give_way(lost)
        if not self._stores:  # what the first process made
            self._open(fresh=False)
        self._complete = True

    def _places(self, job: int) -> list[tuple[ImageStore, int]]:
        """Stores that hold a part of a pair, and where."""
        return [(store, self._copies[job] if name == "hr" else job)
                for name, store in self._stores.items() if name != "hr" or job in self._copies]

    @torch.no_grad()
    def _put(self, job: int) -> None:
        """Generate one pair and store it."""
        recipe, index, _ = self._jobs[job]
        # Bytes over 255, not by way of [-1, 1], which loses a level where an output is its input.
        photograph = self._images[recipe.role].raw(index)[None].to(self._training.device) / 255
        self._training.charge(images=1)
        with torch.autocast(self._training.device.type, enabled=False):
            made = recipe.make(photograph)
        parts = {"lr": truncate_to_uint8(made.lr), "weights": made.weights}
        if made.hr is not None:
            parts["hr"] = truncate_to_uint8(made.hr)
        for name, store in self._stores.items():
            part = parts.get(name)
            if part is not None:
                at = self._copies[job] if name == "hr" else job
                height, width = store.shape(at)
                store.put(at, part[0, :, :height, :width].permute(1, 2, 0).cpu().numpy())
