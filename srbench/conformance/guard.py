"""A dataset that remembers who took what from it while a method was trained."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from srbench.api.dataset import Dataset
    from srbench.conformance.watch import Watch

HELD_OUT = ("test_batches", "validation_batches", "test_patches", "true_map")
DRAWS = ("sample_lr", "sample_hr", "train_images")
# What may lie between `Training.lr`, `hr` or `images` and the dataset.
HARNESS = ("srbench.training.sampling", "srbench.training.state", "contextlib")
SERVED = ("lr", "hr", "images")


def guard(dataset: Dataset, watch: Watch) -> None:
    """Have ``dataset`` report to ``watch``; what it returns stays the same.

    It is given a subclass of its own class, so that code which reaches it through private
    attributes of a training is seen too.
    """
    cls: Any = type(dataset)
    watched = {name: _reporting(name, getattr(cls, name), watch)
               for name in (*HELD_OUT, *DRAWS) if hasattr(cls, name)}
    dataset.__class__ = type(cls.__name__, (cls,), watched)


def _reporting(name: str, original: Callable[..., Any], watch: Watch) -> Callable[..., Any]:
    """Return ``original`` with a report before it; calls a dataset makes itself are not told."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not watch.looking or watch.inside_dataset:
            return original(self, *args, **kwargs)
        if name in HELD_OUT:
            watch.held_out.setdefault(watch.place(), name)
        elif not _served(sys._getframe(1)):
            watch.direct.setdefault(watch.place(), name)
        elif name != "train_images":
            watch.drawn += int(args[0] if args else kwargs["n"])
        watch.inside_dataset = True
        try:
            return original(self, *args, **kwargs)
        finally:
            watch.inside_dataset = False

    return call


def _served(frame: FrameType | None) -> bool:
    """Whether a draw was asked for through `Training.lr`, `Training.hr` or `Training.images`."""
    while frame is not None and frame.f_globals.get("__name__") in HARNESS:
        frame = frame.f_back
    return (frame is not None and frame.f_globals.get("__name__") == "srbench.training.training"
            and frame.f_code.co_name in SERVED)
