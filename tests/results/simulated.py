"""How often 95 % intervals contain the truth, by simulation: for the tests and docs/statistics.md.

A design is stated by the variance that each source gives to the mean, that of the scenes being 1:
``seeds`` for trainings, ``inter`` for trainings and scenes together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from srbench.results.statistics import Bootstrap, Sample, compare, estimate_all

RESAMPLES = Bootstrap(resamples=1)  # only the t interval is looked at
SOURCES = {"scenes dominate": 0.03, "mixed": 1.0, "seeds dominate": 30.0}


@dataclass(frozen=True, kw_only=True)
class Design:
    """One method, or two that are equal on average where ``other`` gives the second's seeds."""

    name: str
    seeds: int
    scenes: int
    ratio: float
    inter: float = 0.1
    crops: bool = False  # scenes of 1 to 9 crops each
    skewed: bool = False
    other: int | None = None  # 0: nothing was trained
    groups: int = 0  # the metric has a jackknife of so many groups instead of values of images


DESIGNS = [Design(name=name, seeds=seeds, scenes=scenes, ratio=ratio)
           for seeds in (2, 3, 5) for scenes in (20, 100) for name, ratio in SOURCES.items()]
DESIGNS += [Design(name=f"{name}, strong interaction", seeds=seeds, scenes=100, ratio=ratio,
                   inter=0.5) for seeds in (3, 5) for name, ratio in SOURCES.items()]
DESIGNS += [Design(name=f"{name}, 1 to 9 crops a scene", seeds=3, scenes=40, ratio=ratio,
                   crops=True) for name, ratio in SOURCES.items()]
DESIGNS += [Design(name=f"{name}, skewed", seeds=3, scenes=100, ratio=ratio, skewed=True)
            for name, ratio in SOURCES.items()]
DESIGNS += [Design(name=f"{name}, jackknife of 20 groups", seeds=3, scenes=20, ratio=ratio,
                   groups=20) for name, ratio in SOURCES.items()]
DESIGNS += [Design(name=f"difference, {name}", seeds=first, other=second, scenes=scenes,
                   ratio=ratio)
            for first, second, scenes in ((2, 2, 100), (3, 3, 20), (3, 3, 100), (2, 5, 100),
                                          (5, 5, 100), (3, 0, 100))
            for name, ratio in SOURCES.items()]


def coverage(design: Design, repetitions: int, seed: int = 0) -> float:
    """Share of intervals that contain the true mean, or the true difference, which is 0."""
    draw = np.random.default_rng([seed, DESIGNS.index(design) if design in DESIGNS else 999])
    if design.other is None:
        samples = [next(_samples(design, draw, (design.seeds,))) for _ in range(repetitions)]
        found = [estimate.interval for estimate in estimate_all(samples, RESAMPLES)]
    else:
        found = [compare(*_samples(design, draw, (design.seeds, design.other))).interval
                 for _ in range(repetitions)]
    return float(np.mean([low <= 0 <= high for low, high in found]))


def _samples(design: Design, draw: np.random.Generator, seeds: tuple[int, ...]) -> Iterator[Sample]:
    """One sample per method, true mean 0; methods share half of what scenes vary."""
    clusters = None
    if design.crops:
        clusters = np.repeat(np.arange(design.scenes), 1 + np.arange(design.scenes) % 9)
    shared = _scenes(design, draw)
    for count in seeds:
        rows = max(count, 1)
        scale = np.sqrt(rows * design.scenes)
        own = _scenes(design, draw)
        effect = own if len(seeds) == 1 else (own + shared) * np.sqrt(0.5)
        grid = np.repeat((np.sqrt(design.scenes) * effect)[None], rows, axis=0)
        if count:
            grid = (grid + np.sqrt(design.ratio * rows) * draw.normal(size=(rows, 1))
                    + np.sqrt(design.inter) * scale * draw.normal(size=grid.shape))
        if clusters is not None:
            grid = grid[:, clusters] + draw.normal(size=(rows, len(clusters)))
        values = grid.mean(1)
        if design.groups:
            yield Sample(seeds=tuple(range(rows)), values=values, jackknife=grid - values[:, None])
        else:
            yield Sample(seeds=tuple(range(rows)), values=values, scenes=grid, clusters=clusters,
                         trained=count > 0)


def _scenes(design: Design, draw: np.random.Generator) -> np.ndarray:
    """Effects of the scenes, mean 0 and variance 1."""
    if design.skewed:  # as squared errors are
        return (draw.chisquare(4, design.scenes) - 4) / np.sqrt(8)
    return draw.normal(size=design.scenes)


def table(repetitions: int) -> str:
    """Coverage of each design as lines of a Markdown table."""
    lines = ["| design | seeds | scenes | variance of seeds : scenes : both | coverage |",
             "|---|---|---|---|---|"]
    for design in DESIGNS:
        seeds = f"{design.seeds}" if design.other is None else (
            f"{design.seeds} and {design.other or 'untrained'}")
        lines.append(f"| {design.name} | {seeds} | {design.scenes} | {design.ratio:g} : 1 : "
                     f"{design.inter:g} | {100 * coverage(design, repetitions):.1f} % |")
    return "\n".join(lines)
