"""What a check of a cell found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from srbench.results.record import Record


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was committed.

    Parameters
    ----------
    file : str
        Path below the cell's folder.
    problem : str
        What is wrong, with the value that is there and the one that should be.
    """

    file: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A cell that was looked at.

    Parameters
    ----------
    key : str
        Name of its folder.
    record : Record or None
        None where it cannot be read.
    findings : tuple of Finding
        Empty where all is as committed.
    signature : str
        Digest of the values that training decided; empty where it decided none.
    """

    key: str
    record: Record | None
    findings: tuple[Finding, ...]
    signature: str = ""

    @property
    def name(self) -> str:
        """Method, dataset and seed, as far as they are known."""
        if self.record is None:
            return "?"
        identity = self.record.identity
        return f"{identity.label} on {identity.title}, seed {identity.seed}"
