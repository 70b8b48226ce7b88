"""One ranking holds one preset, one protocol of each metric and one data of each dataset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from srbench.errors import UsageError
from srbench.results.record import Record

if TYPE_CHECKING:
    from srbench.boards.definition import Definition


@dataclass(frozen=True)
class Candidate:
    """A record that is to stand on a board; ``place`` says where it is, for messages."""

    record: Record
    place: str

    @property
    def name(self) -> str:
        """Method, seed, key and place."""
        identity = self.record.identity
        return f"{identity.label}, seed {identity.seed}, cell {identity.key[:12]} of {self.place}"


def refuse_mixed(definition: Definition, candidates: Sequence[Candidate], *,
                 remedy: str) -> None:
    """Refuse records that no ranking may hold together.

    Parameters
    ----------
    definition : Definition
        Of the board.
    candidates : sequence of Candidate
        All records that would stand on it.
    remedy : str
        How to go on without those published before.

    Raises
    ------
    UsageError
        If a record is not of the board's preset, source and datasets, or if two records of one
        dataset differ in its fingerprint or in the protocol of a metric. The message names both
        values and both records.
    """
    for candidate in candidates:
        _refuse_foreign(definition, candidate, remedy)
    seen: dict[tuple[str, str], tuple[str, Candidate]] = {}
    for candidate in candidates:
        for (what, where), value in _facts(candidate.record):
            before, other = seen.setdefault((what, where), (value, candidate))
            if before != value:
                raise UsageError(
                    f"board {definition.name} would mix two {what} of {where}: {before} "
                    f"({other.name}) and {value} ({candidate.name})",
                    hint=f"a ranking compares like with like: run the older ones again; {remedy}")


def _refuse_foreign(definition: Definition, candidate: Candidate, remedy: str) -> None:
    identity = candidate.record.identity
    if definition.wants(candidate.record):
        return
    pairs = [("preset", identity.preset, definition.preset),
             ("source", identity.source, definition.source or identity.source)]
    for what, found, wanted in pairs:
        if found != wanted:
            raise UsageError(f"board {definition.name} would mix {what}s: it is of {what} "
                             f"{wanted!r}, and {candidate.name} is of {found!r}", hint=remedy)
    if identity.title not in definition.datasets:
        raise UsageError(f"board {definition.name} has the datasets "
                         f"{', '.join(definition.datasets)}, and {candidate.name} is of "
                         f"{identity.title}", hint=remedy)
    raise UsageError(f"board {definition.name} takes the methods {', '.join(definition.methods)}, "
                     f"and not {candidate.name}", hint=remedy)


def _facts(record: Record) -> Iterable[tuple[tuple[str, str], str]]:
    """What must be equal among the records of one dataset: (what, of which), value."""
    title = record.identity.title
    if record.origin.dataset_fingerprint:  # a cell that died early does not know it
        yield ("fingerprints", title), record.origin.dataset_fingerprint
    for values in (record.values.final, record.values.oracle):
        for name, value in values.items():
            yield ("protocols", f"{name} on {title}"), value.protocol
