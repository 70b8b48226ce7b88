"""What trackers are told: frozen records of plain data, which a tracker may keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class TrackedCell:
    """One cell: a method with parameters on a dataset with one seed.

    Parameters
    ----------
    key : str
        SHA-256 of the cell's identity, which names its folder.
    name : str
        Text for a person: ``"wgan-gp[lambda=100] on w2-early@embedded, seed 0"``.
    label : str
        The method as shown: ``"wgan-gp[lambda=100]"``.
    method : str
        Name of the method.
    dataset : str
        The dataset as shown: ``"w2-early@embedded"``.
    seed : int
        Seed of the cell.
    preset : str
        ``"quick"``, ``"paper"`` or ``"code"``.
    parameters, dataset_parameters : mapping
        Every parameter of the method and of the dataset, as resolved; JSON data.
    device, precision, budget : str
        How it is trained; the budget is empty where there is none.
    folder : Path
        ``runs/cells/<key>``, absolute: ``record.json``, ``history.parquet``, ``images/``.
    """

    key: str
    name: str
    label: str
    method: str
    dataset: str
    seed: int
    preset: str
    parameters: Mapping[str, Any]
    dataset_parameters: Mapping[str, Any]
    device: str
    precision: str
    budget: str
    folder: Path


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """One plan as far as this process runs it.

    Parameters
    ----------
    id : str
        Id of the plan; a resumed run has that of the first one.
    folder : Path
        ``runs/``, absolute: where a tracker may keep files, in a folder of its own name.
    command : str
        The command line of the first run.
    created : str
        When the plan was written: UTC, ISO 8601.
    cells : tuple of TrackedCell
        The cells that are to run; those that were done before are not among them.
    """

    id: str
    folder: Path
    command: str
    created: str
    cells: tuple[TrackedCell, ...]


@dataclass(frozen=True, kw_only=True)
class Scalars:
    """Values of one moment of a training: the rows ``history.parquet`` has of it.

    Parameters
    ----------
    kind : {"train", "validation"}
        What the method logged, as means since the last such moment; or scores of its map on the
        validation pairs.
    stage : str
        Stage of the training; ``"main"`` where there is only one.
    step : int
        Finished steps of the stage.
    seconds, images, calls : float, int, int
        Clocks of the training over all its stages: time, samples drawn, samples passed through
        networks.
    values : mapping of str to float
        By name; may be NaN or infinite.
    """

    kind: Literal["train", "validation"]
    stage: str
    step: int
    seconds: float
    images: int
    calls: int
    values: Mapping[str, float]
