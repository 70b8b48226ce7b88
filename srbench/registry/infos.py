"""What a plugin says about itself before any of its code runs.

Listing plugins must not import torch, so a plugin's top module returns these light records and
names the implementation as ``"package.module:Class"``, which is imported when a cell runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class PluginInfo:
    """Facts common to methods, datasets and metrics.

    Parameters
    ----------
    name : str
        Matches ``[a-z0-9][a-z0-9.-]*``; unique among all installed plugins of its kind.
    summary : str
        One sentence.
    load : str
        The implementation, ``"package.module:Class"``.
    paper, url, citation, licence : str
        Shown by ``srbench info``; ``citation`` is BibTeX.

    Raises
    ------
    ValueError
        If ``name`` or ``load`` has the wrong form or ``summary`` is empty.
    """

    name: str
    summary: str
    load: str
    paper: str = ""
    url: str = ""
    citation: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"the name {self.name!r} must match {NAME.pattern}")
        if not TARGET.fullmatch(self.load):
            raise ValueError(f"load={self.load!r} of {self.name!r} must be 'package.module:Class'")
        if not self.summary.strip():
            raise ValueError(f"the summary of {self.name!r} is empty")


@dataclass(frozen=True, kw_only=True)
class MethodInfo(PluginInfo):
    """A method: learns a map from low to high resolution.

    Parameters
    ----------
    sweep : mapping of str to sequence
        What the bare name expands to, e.g. ``{"lambda": (0, 0.1, 1)}``; a user's own value for the
        key replaces it.
    memory_gib : mapping of str to float
        Memory a cell takes at most, by preset: what cells are packed by on a machine (1.5 GiB where
        nothing is said). Users can say otherwise with ``--memory``.
    """

    sweep: Mapping[str, Sequence[object]] = field(default_factory=dict)
    memory_gib: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DatasetInfo(PluginInfo):
    """A dataset: P and Q to draw from, and held-out pairs.

    Parameters
    ----------
    fixed : mapping
        Parameters this name stands for, e.g. ``{"pair": "early"}``; users cannot set them.
    """

    fixed: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MetricInfo(PluginInfo):
    """A metric: scores a method's output.

    Parameters
    ----------
    title : str
        Column header, e.g. ``"L2-UVP"``.
    unit : str
        ``"%"``, ``"dB"`` or empty.
    direction : {"lower", "higher", "target"}
        Which values are better; ``"target"`` means near the value of the HR images.
    decimals : int
        Digits shown behind the point.
    """

    title: str
    direction: Literal["lower", "higher", "target"]
    unit: str = ""
    decimals: int = 3
