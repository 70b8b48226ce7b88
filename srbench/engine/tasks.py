"""What a scheduler keeps of cells that wait and run, and what it tells their jobs."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srbench.engine.job import GRACE
from srbench.engine.verdict import Stamp
from srbench.plan import Cell


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What every job of a run is told.

    Attributes
    ----------
    timeout : float or None
        Seconds a cell may take.
    grace : float
        Seconds a cell that is asked to stop may take.
    rank_timeout : float
        Seconds in which every rank of a cell must answer.
    rerun : bool
        Whether cells run that are done.
    scalars : bool
        Whether they keep ``scalars.jsonl`` for those who track the run.
    """

    timeout: float | None = None
    grace: float = GRACE
    rank_timeout: float = 600.0
    rerun: bool = False
    scalars: bool = False

    def command(self, folder: Path, executor: str) -> list[str]:
        """Return the command line of the job of a cell."""
        words = [sys.executable, "-m", "srbench.engine.job", str(folder.absolute()),
                 "--grace", f"{self.grace:g}", "--rank-timeout", f"{self.rank_timeout:g}",
                 "--executor", executor]
        if self.timeout is not None:
            words += ["--timeout", f"{self.timeout:g}"]
        return words + ["--rerun"] * self.rerun + ["--scalars"] * self.scalars


@dataclass
class Waiting:
    """A cell that is to run."""

    cell: Cell
    folder: Path | None = None
    not_before: float = 0.0
    alone: bool = False
    losses: int = 0
    seen: Stamp | None = None
    notes: list[str] = field(default_factory=list)


@dataclass
class Running:
    """A cell whose job was submitted."""

    waiting: Waiting
    handle: Any
    folder: Path
    told: tuple[Any, ...] = ()

    @property
    def cell(self) -> Cell:
        """The cell."""
        return self.waiting.cell
