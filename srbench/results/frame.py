"""Records as tables: one row per cell, then one row per method with mean and deviation over seeds.

Values of two protocols never share a column: a metric found with two protocol ids becomes two
columns, ``metric (protocol)`` each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from srbench.results.record import MetricValue, Record, Status

if TYPE_CHECKING:
    import pandas as pd

Block = Literal["final", "oracle"]

FACTS = ("key", "title", "preset", "label", "method", "seed", "status", "reason", "seconds_fit",
         "images", "parameters")
COSTS = ("seconds_fit", "images", "parameters")


def to_frame(records: Sequence[Record], *, block: Block = "final") -> pd.DataFrame:
    """One row per record, in their order.

    Parameters
    ----------
    records : sequence of Record
        Of any datasets and presets.
    block : {"final", "oracle"}
        Values of the last iterate, or of the iterate chosen by ground truth.

    Returns
    -------
    DataFrame
        Columns `FACTS`, then per metric its value (NaN where there is none) under the name
        `column_names` gives it, and ``<column>.protocol``. ``title`` and ``label`` are those of
        `shown_titles` and `shown_labels`.
    """
    import pandas as pd

    names = column_names(records, block=block)
    rows = [_row(record, title, label, names, block)
            for record, title, label in zip(records, shown_titles(records), shown_labels(records),
                                            strict=True)]
    columns = [*FACTS, *(part for name in dict.fromkeys(names.values())
                         for part in (name, f"{name}.protocol"))]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({name: float for name in names.values()})


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per (title, preset, label): mean and sample deviation over the seeds that are ok.

    Parameters
    ----------
    frame : DataFrame
        As `to_frame` returns it, at most one row per title, preset, label and seed (see `newest`).

    Returns
    -------
    DataFrame
        Columns ``title, preset, label, method, seeds`` (how many), the mean of each of `COSTS`, and
        per metric ``<column>`` (mean), ``<column>.sd`` (divisor n - 1; NaN for one seed) and
        ``<column>.n`` (seeds with a value). Rows appear in the order of their first cell.

    Raises
    ------
    ValueError
        If a title, preset, label and seed occur twice: their mean would count one seed twice.
    """
    import pandas as pd

    group = ["title", "preset", "label"]
    done = frame[frame["status"] == str(Status.OK)]
    twice = done[done.duplicated([*group, "seed"])]
    if not twice.empty:
        raise ValueError(f"{len(twice)} cells repeat a seed, e.g. {twice['label'].iloc[0]!r} seed "
                         f"{twice['seed'].iloc[0]}: keep one of each with newest()")
    grouped = done.groupby(group, sort=False)
    parts = {"method": grouped["method"].first(), "seeds": grouped["seed"].count(),
             **{cost: grouped[cost].mean() for cost in COSTS}}
    for name in metric_columns(frame):
        parts |= {name: grouped[name].mean(), f"{name}.sd": grouped[name].std(ddof=1),
                  f"{name}.n": grouped[name].count()}
    return pd.DataFrame(parts).reset_index()


def metric_columns(frame: pd.DataFrame) -> list[str]:
    """Names of the metric columns of `to_frame`'s result, in order."""
    return [name.removesuffix(".protocol") for name in frame.columns if name.endswith(".protocol")]


def column_names(records: Sequence[Record], *, block: Block = "final",
                 ) -> dict[tuple[str, str], str]:
    """Map (metric, protocol id) to a column name, in order of first appearance.

    A metric's own name where one protocol id occurs, ``metric (protocol)`` where two do, or where
    the name is that of one of `FACTS`.
    """
    protocols: dict[str, list[str]] = {}
    for record in records:
        for name, metric in values_of(record, block).items():
            known = protocols.setdefault(name, [])
            if metric.protocol not in known:
                known.append(metric.protocol)
    return {(name, protocol): name if len(known) == 1 and name not in FACTS
            else f"{name} ({protocol})" for name, known in protocols.items() for protocol in known}


def newest(records: Sequence[Record]) -> list[Record]:
    """Keep the record that finished last of each (title, preset, label, seed), in their order.

    Two such records stem from different versions of the code or of torch: the older one no longer
    says what the installed code does.
    """
    latest: dict[tuple[str, str, str, int], int] = {}
    names = zip(shown_titles(records), shown_labels(records), strict=True)
    for index, (record, (title, label)) in enumerate(zip(records, names, strict=True)):
        cell = (title, record.identity.preset, label, record.identity.seed)
        before = latest.get(cell)
        if before is None or _age(records[before]) <= _age(record):
            latest[cell] = index
    return [records[index] for index in sorted(latest.values())]


def shown_titles(records: Sequence[Record]) -> list[str]:
    """Dataset titles; where one title stands for several data, their fingerprints are added."""
    data: dict[str, set[str]] = {}
    for record in records:
        data.setdefault(record.identity.title, set()).add(_data(record))
    return [record.identity.title if len(data[record.identity.title]) == 1
            else f"{record.identity.title} (data {_data(record)[:8]})" for record in records]


def shown_labels(records: Sequence[Record]) -> list[str]:
    """Return method labels, with settings beside the method's own that differ among records.

    Precision and budget are part of what was run but not of the label; where the finished cells of
    one (title, preset) have several of either, labels say which: ``ots (bf16, budget 600s)``.
    """
    precisions: dict[tuple[str, str], set[str]] = {}
    budgets: dict[tuple[str, str], set[str]] = {}
    for record in records:
        precisions.setdefault(_board(record), set()).add(record.identity.precision)
        if record.outcome.status is Status.OK:  # a cell that died early may not know its budget
            budgets.setdefault(_board(record), set()).add(record.cost.budget)
    return [_label(record, several_precisions=len(precisions[_board(record)]) > 1,
                   several_budgets=len(budgets.get(_board(record), ())) > 1) for record in records]


def _label(record: Record, *, several_precisions: bool, several_budgets: bool) -> str:
    said = [record.identity.precision] if several_precisions else []
    if several_budgets and (record.cost.budget or record.outcome.status is Status.OK):
        said.append(f"budget {record.cost.budget}" if record.cost.budget else "no budget")
    return f"{record.identity.label} ({', '.join(said)})" if said else record.identity.label


def _age(record: Record) -> tuple[str, str]:
    """Return what orders records by age; the key only makes the order whole."""
    return record.outcome.finished, record.identity.key


def _board(record: Record) -> tuple[str, str]:
    return record.identity.title, record.identity.preset


def _data(record: Record) -> str:
    """Return what tells two data of one title apart; parameters are part of the title already."""
    return record.origin.dataset_fingerprint or json.dumps(record.identity.dataset_params,
                                                           sort_keys=True)


def values_of(record: Record, block: Block) -> dict[str, MetricValue]:
    """Metrics of one record's block by name."""
    return record.values.final if block == "final" else record.values.oracle


def _row(record: Record, title: str, label: str, names: dict[tuple[str, str], str],
         block: Block) -> dict[str, Any]:
    row: dict[str, Any] = {
        "key": record.identity.key, "title": title, "preset": record.identity.preset,
        "label": label, "method": record.identity.method, "seed": record.identity.seed,
        "status": str(record.outcome.status), "reason": record.outcome.reason,
        "seconds_fit": record.cost.seconds_fit,
        "images": sum(stage.images for stage in record.cost.stages),
        "parameters": record.cost.parameters,
    }
    for name, metric in values_of(record, block).items():
        column = names[name, metric.protocol]
        row |= {column: metric.value, f"{column}.protocol": metric.protocol}
    return row
