"""What the panels of a lambda path share: the sweep, what stands beside it, what theory needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from srbench.boards.board import Board, Row
from srbench.boards.charts.place import Scale
from srbench.boards.charts.values import mean


@dataclass(frozen=True, kw_only=True)
class Sweeping:
    """What all panels share: the sweep's rows, the scale of its parameter, the lines beside it."""

    board: Board
    rows: tuple[Row, ...]
    scale: Scale
    parameter: str
    lines: tuple[Row, ...]
    identity: Row | None
    values: int | None
    theory: bool

    def identity_uvp(self, index: int) -> float | None:
        """L2-UVP of the identity in a column; None where the column is another metric."""
        column = self.board.final.columns[index]
        if column.metric != "l2-uvp" or not self.theory:
            return None
        if self.identity is not None:
            return mean(self.identity.entries[index])
        return next((float(told) for record in self.board.records
                     if column.dataset in ("", record.identity.title)
                     and isinstance(told := record.facts.get("identity_l2_uvp"), int | float)
                     and math.isfinite(told) and told > 0), None)

    def theory_in(self, index: int) -> bool:
        """Whether the curve of theory is drawn in a column."""
        return self.identity_uvp(index) is not None

    def bound_in(self, index: int) -> bool:
        """Whether the bound of exact W1 is drawn in a column."""
        return self.theory_in(index) and self.denominator(index) is not None

    def denominator(self, index: int) -> tuple[float, int] | None:
        """Variance of Q and number of values D of the data that a column is about."""
        column = self.board.final.columns[index]
        for record in self.board.records:
            if column.dataset and record.identity.title != column.dataset:
                continue
            variance = record.facts.get("hr_variance")
            params = record.identity.dataset_params
            size, dim = params.get("size"), params.get("dim")
            count = self.values or (3 * size**2 if isinstance(size, int) else dim)
            if (isinstance(variance, int | float) and math.isfinite(variance) and variance > 0
                    and isinstance(count, int) and count > 0):
                return float(variance), count
        return None
