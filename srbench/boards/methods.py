"""What a board tells of each method: command, settings, costs of stages, what to cite."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from srbench.boards.board import Board, Row
from srbench.boards.provenance import flatten
from srbench.errors import SpecError
from srbench.results.frame import shown_labels
from srbench.results.record import Record, StageCost, Status
from srbench.spec import label

if TYPE_CHECKING:
    from srbench.registry.catalog import Catalog

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Method:
    """Everything about one row.

    ``digest`` begins the SHA-256 of the plugin's sources; ``citation`` is BibTeX or empty.
    ``stages`` are those of the first cell that finished; ``keys`` are the cells' identity keys,
    shortened.
    """

    row: Row
    command: str
    settings: Facts
    digest: str
    stages: tuple[StageCost, ...]
    keys: tuple[str, ...]
    citation: str


def methods(board: Board, catalog: Catalog | None = None) -> tuple[Method, ...]:
    """Collect it for each row of the board, in their order."""
    by_label: dict[str, list[Record]] = {}
    for record, shown in zip(board.records, shown_labels(board.records), strict=True):
        by_label.setdefault(shown, []).append(record)
    return tuple(_method(row, by_label[row.label], board, catalog) for row in board.final.rows)


def _method(row: Row, records: Sequence[Record], board: Board,
            catalog: Catalog | None) -> Method:
    first = next(record for record in records if record.outcome.status is Status.OK)
    entry = catalog.methods.get(row.method) if catalog is not None else None
    return Method(
        row=row, command=run_command(records), digest=first.origin.method_digest[:12],
        settings=flatten(first.identity.method_params), stages=tuple(first.cost.stages),
        keys=tuple(record.identity.key[:10] for record in records),
        citation=entry.info.citation.strip() if entry is not None else "")


def run_command(records: Sequence[Record]) -> str:
    """Return the command that runs the cells of one method again."""
    first = records[0]
    titles = dict.fromkeys(_dataset_spec(record) for record in records)
    seeds = sorted({record.identity.seed for record in records})
    words = ["srbench", "run", "--methods", first.identity.label, "--dataset", ",".join(titles),
             "--seeds", ",".join(map(str, seeds)), "--preset", first.identity.preset]
    if first.cost.budget:
        words += ["--budget", first.cost.budget]
    if first.identity.precision != "fp32":
        words += ["--precision", first.identity.precision]
    if first.identity.threads != 1 or str(first.environment.get("device")).startswith("cuda"):
        words += ["--threads", str(first.identity.threads)]
    return shlex.join(words)


def _dataset_spec(record: Record) -> str:
    """Dataset as the command line wants it; the source is named where the title names one."""
    identity = record.identity
    given = {"source": identity.source, **identity.dataset_given} if "@" in identity.title \
        else dict(identity.dataset_given)
    try:
        return label(identity.dataset.partition("[")[0], given)
    except SpecError:  # of a record that no command of ours made
        return identity.dataset
