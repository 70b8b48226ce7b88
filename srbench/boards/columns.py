"""The columns of a board: one metric under one protocol on one dataset each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from srbench.boards.board import Column, Table
from srbench.results.frame import Block, column_names, values_of
from srbench.results.record import MetricValue, Record, Status

if TYPE_CHECKING:
    from srbench.boards.definition import Definition
    from srbench.registry.infos import MetricInfo

# The first of these that a board has values of is what it is sorted by.
RANKING = ("l2-uvp", "patch-fid", "lpips", "psnr")
MOST_SHOWN = 8
INAPPLICABLE = "does not apply"  # how evaluation begins to say so
MOST_DECIMALS = 12


def make_columns(data: Mapping[str, Sequence[Record]], block: Block, definition: Definition, *,
                 metrics: Mapping[str, MetricInfo]) -> tuple[Column, ...]:
    """Columns with the ranking one in front, then as the definition lists them, then the rest.

    Parameters
    ----------
    data : mapping of str to sequence of Record
        Finished records by dataset title, in the order of the datasets.
    block : {"final", "oracle"}
        Which values.
    definition : Definition
        ``columns`` it names in order; ``rank`` is the dataset of the first one.
    metrics : mapping of str to MetricInfo
        The installed metrics, for what they measure.
    """
    about = _differences(list(dict.fromkeys([*definition.datasets, *data])))
    found: list[tuple[Column, bool]] = []
    for title, records in data.items():
        for (metric, protocol), name in column_names(records, block=block).items():
            values = [value for record in records
                      if (value := values_of(record, block).get(metric))
                      and value.protocol == protocol]
            if all(map(is_inapplicable, values)):
                continue
            info = metrics.get(metric)
            found.append((_column(
                f"{name} {about[title]}".strip(), metric, values, dataset=title,
                about=about[title], definition=info.summary if info else ""),
                any(value.value is not None for value in values)))
    if not found and block == "final":
        return _unmeasured(definition, metrics, about)
    return _ordered(found, definition)


def _ordered(found: Sequence[tuple[Column, bool]], definition: Definition) -> tuple[Column, ...]:
    """Put columns in order; a ranking column without any value gives way to one that has some."""
    wanted = {metric: index for index, metric in enumerate(definition.columns)}
    datasets = {title: index for index, title in enumerate(definition.datasets)}
    usual = {metric: index for index, metric in enumerate(RANKING)}
    places = sorted(range(len(found)), key=lambda at: (
        wanted.get(found[at][0].metric, len(wanted)),
        datasets.get(found[at][0].dataset, 0) if len(datasets) > 1 else 0, at))
    columns = [found[at][0] for at in places]
    valued = {column.name for column, has_values in found if has_values}
    chosen = min(columns, default=None, key=lambda column: (
        column.name not in valued, wanted.get(column.metric, len(wanted)),
        column.dataset != (definition.rank or column.dataset),
        usual.get(column.metric, len(usual))))
    return tuple(sorted(columns, key=lambda column: column is not chosen))


def _unmeasured(definition: Definition, metrics: Mapping[str, MetricInfo],
                about: Mapping[str, str]) -> tuple[Column, ...]:
    """Columns of a board of which nothing was run yet: those that values were published in."""
    wanted = dict.fromkeys(published.metric for published in definition.published)
    order = [name for name in definition.columns if name in wanted]
    columns = []
    for metric in dict.fromkeys([*order, *wanted]):
        info = metrics.get(metric)
        if info is not None:
            columns += [Column(
                name=f"{metric} {about[title]}".strip(), metric=metric, title=info.title,
                unit=info.unit, direction=info.direction, decimals=info.decimals, protocol="",
                count=0, reference={}, dataset=title, about=about[title], definition=info.summary)
                for title in definition.datasets]
    return tuple(columns)


def _column(name: str, metric: str, values: Sequence[MetricValue], *, dataset: str, about: str,
            definition: str) -> Column:
    reference = next((value.reference for value in values if value.reference), {})
    first = values[0]
    return Column(name=name, metric=metric, title=first.title, unit=first.unit,
                  direction=first.direction, protocol=first.protocol,
                  decimals=min(max(first.decimals, 0), MOST_DECIMALS),  # of a plugin: any number
                  reference=dict(reference), count=max(value.count for value in values),
                  dataset=dataset, about=about, definition=definition)


def _differences(titles: Sequence[str]) -> dict[str, str]:
    """What tells each of several dataset titles from the others: the part that is not common."""
    if len(titles) < 2:
        return dict.fromkeys(titles, "")
    start = next((at for at, letters in enumerate(zip(*titles, strict=False))
                  if len(set(letters)) > 1), 0)
    opened = titles[0].rfind("[", 0, start + 1) + 1
    return {title: title[opened:].removesuffix("]") if opened else title for title in titles}


def inapplicable(records: Sequence[Record],
                 block: Block) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Titles of the metrics that apply to no record, by the reason they give."""
    values: dict[str, list[MetricValue]] = {}
    for record in records:
        for name, value in values_of(record, block).items():
            values.setdefault(name, []).append(value)
    found: dict[str, list[str]] = {}
    for several in values.values():
        if all(map(is_inapplicable, several)):
            found.setdefault(several[0].unavailable or "", []).append(several[0].title)
    return tuple((why, tuple(titles)) for why, titles in found.items())


def first_shown(table: Table, wanted: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns that a reader sees at first: the metrics wanted, else those with values.

    Without metrics wanted, at most `MOST_SHOWN`, and never nothing.
    """
    if wanted:
        named = [column.name for column in table.columns if column.metric in wanted]
    else:
        named = [column.name for index, column in enumerate(table.columns)
                 if any(row.entries[index].mean is not None for row in table.rows)][:MOST_SHOWN]
    return tuple(named or [column.name for column in table.columns])


def is_inapplicable(value: MetricValue) -> bool:
    """Whether the metric makes no sense on the data, as opposed to having failed."""
    return (value.unavailable or "").startswith(INAPPLICABLE)


def finished(records: Sequence[Record], block: Block) -> list[Record]:
    """Records that are ok; of the oracle's block only those whose iterates were validated."""
    return [record for record in records if record.outcome.status is Status.OK
            and (block == "final" or record.values.oracle)]
