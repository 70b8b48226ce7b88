"""The rows of a board: methods with their costs, flags and place in a sweep."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from srbench.boards.board import Costs, Row
from srbench.boards.sweeps import find_sweeps
from srbench.results.record import Record

MAP = "map"  # name under which a training counts the calls of its map


def make_rows(data: Mapping[str, Mapping[str, Sequence[Record]]]) -> list[Row]:
    """Rows without values, one for each label that any dataset has.

    Parameters
    ----------
    data : mapping
        Finished records by dataset title, then label.
    """
    by_label: dict[str, list[Record]] = {}
    for methods in data.values():
        for label, records in methods.items():
            by_label.setdefault(label, []).extend(records)
    sweeps = find_sweeps({label: records[0] for label, records in by_label.items()})
    names = anchors(by_label)
    return [Row(label=label, anchor=names[label], method=records[0].identity.method,
                seeds=tuple(sorted({record.identity.seed for record in records})), entries=(),
                costs=_costs(records), sweep=sweeps.get(label), plugin=_plugin(records[0]),
                flags=tuple(sorted({flag for record in records
                                    for flag in record.outcome.flags})))
            for label, records in by_label.items()]


def anchors(labels: Iterable[str]) -> dict[str, str]:
    """Ids for the page, of letters, digits, points and dashes, each once, whatever labels hold.

    >>> anchors(["ots", "wgan-gp[lambda=100]"])
    {'ots': 'm-ots', 'wgan-gp[lambda=100]': 'm-wgan-gp-lambda-100'}
    """
    found: dict[str, str] = {}
    used: set[str] = set()
    for label in labels:
        name = "m-" + re.sub(r"[^a-z0-9.]+", "-", label.lower())[:60].strip("-.")
        digest = hashlib.sha256(label.encode(errors="surrogatepass")).hexdigest()
        while name == "m-" or name in used:  # a label may even end in the digest of another
            name = f"{name.rstrip('-')}-{digest[:8]}"
        found[label] = name
        used.add(name)
    return found


def _costs(records: Sequence[Record]) -> Costs:
    """Means over cells of what each cell used in all its stages."""
    costs = [record.cost for record in records]
    stages = [cost.stages for cost in costs]
    map_calls = [sum(stage.calls.get(MAP, 0) for stage in own) for own in stages]
    all_calls = [sum(sum(stage.calls.values()) for stage in own) for own in stages]
    device = [cost.peak_device_memory_bytes for cost in costs
              if cost.peak_device_memory_bytes is not None]
    return Costs(
        seconds=fmean(cost.seconds_fit for cost in costs),
        images=fmean(sum(stage.images for stage in own) for own in stages),
        map_calls=fmean(map_calls), other_calls=fmean(all_calls) - fmean(map_calls),
        parameters=fmean(cost.parameters for cost in costs),
        memory=fmean(cost.peak_memory_bytes for cost in costs),
        device_memory=fmean(device) if device else None)


def _plugin(record: Record) -> str:
    origin = record.origin
    return f"{origin.method_distribution} {origin.method_version}".strip()
