"""Event files of the cells of a run."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from srbench.errors import MissingDependency

try:
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams
except ImportError as error:
    raise MissingDependency(
        "--track tensorboard needs the package 'tensorboard', which is not installed",
        hint="pip install 'srbench[tensorboard]'") from error

if TYPE_CHECKING:
    from srbench import Scalars, TrackedCell, TrackedRun

FOLDER = "tensorboard"


class Log:
    """One event file for each cell, in ``runs/tensorboard/<plan>/<cell>``.

    Tags are ``train/<stage>/<name>`` and ``validation/<stage>/<name>`` over the steps of the stage,
    and ``final/<metric>``. TensorBoard's relative time is that of the training.

    Parameters
    ----------
    run : TrackedRun
        The run.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._folder = run.folder / FOLDER / run.id
        self._writers: dict[str, tuple[SummaryWriter, float]] = {}

    def start(self, cell: TrackedCell) -> None:
        """Open the file of a cell; of a resumed one the curves are told anew from the first step.

        TensorBoard then forgets what earlier files of the folder say.
        """
        folder = self._folder / folder_name(cell)
        again = any(folder.glob("events.out.tfevents.*"))
        writer = SummaryWriter(str(folder), purge_step=0 if again else None)
        self._writers[cell.key] = writer, time.time()

    def add(self, cell: TrackedCell, scalars: Scalars) -> None:
        """Write values of one moment."""
        writer, began = self._writers[cell.key]
        for name, value in scalars.values.items():
            writer.add_scalar(f"{scalars.kind}/{scalars.stage}/{name}", value, scalars.step,
                              walltime=began + scalars.seconds)

    def finish(self, cell: TrackedCell, record: dict[str, Any]) -> None:
        """Write settings, scores and how the cell ended."""
        writer, _ = self._writers.pop(cell.key)
        steps = sum(stage["steps"] for stage in record["cost"]["stages"])
        final = {f"final/{name}": float(metric["value"])
                 for name, metric in record["values"]["final"].items()
                 if metric["value"] is not None}
        file = writer.file_writer
        assert file is not None  # it is open
        # `SummaryWriter.add_hparams` would write them to a run of their own.
        for summary in hparams(settings(cell), final):
            file.add_summary(summary)
        for tag, value in final.items():
            writer.add_scalar(tag, value, steps)
        outcome = record["outcome"]
        writer.add_text("status", f"**{outcome['status']}** {outcome['reason']}\n\n"
                                  f"`{cell.key}`, {cell.name}", steps)
        writer.close()

    def close(self) -> None:
        """Close the files of cells that did not end."""
        for writer, _ in self._writers.values():
            writer.close()
        self._writers.clear()


def folder_name(cell: TrackedCell) -> str:
    """Name for a person, made unique by the beginning of the key."""
    words = re.sub(r"[^\w.,=@+-]+", "_", f"{cell.label} {cell.dataset} seed{cell.seed}")
    return f"{words[:100]}_{cell.key[:8]}"


def settings(cell: TrackedCell) -> dict[str, bool | float | str]:
    """What a cell was run with, as TensorBoard's table of settings takes it."""
    known = {"method": cell.method, "dataset": cell.dataset, "seed": cell.seed,
             "preset": cell.preset, "precision": cell.precision,
             **{f"{cell.method}.{name}": value for name, value in cell.parameters.items()},
             **{f"dataset.{name}": value for name, value in cell.dataset_parameters.items()}}
    return {name: value if isinstance(value, bool | int | float | str) else json.dumps(value)
            for name, value in known.items()}
