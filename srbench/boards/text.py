"""Boards and records as CSV, JSON data and LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from srbench.boards.board import Board, Column, Entry, Row, Table
from srbench.boards.finding import finding
from srbench.foreign.text import escaped_latex, inert_cell, printable
from srbench.results.frame import to_frame
from srbench.results.record import Record
from srbench.results.store import Invalid

INVALID = "invalid"  # status of a record that cannot be used

LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
         "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
         "<": r"\textless{}", ">": r"\textgreater{}", "↓": r"$\downarrow$", "↑": r"$\uparrow$",
         "≈": r"$\approx$", "±": r"$\pm$", "λ": r"$\lambda$"}


def records_csv(records: Sequence[Record], invalid: Sequence[Invalid] = ()) -> str:
    """One line per cell: the columns of `srbench.results.frame.to_frame`.

    Text that a spreadsheet would run as a formula gets a leading apostrophe. Records that cannot
    be used follow with the status ``invalid``, their folder's name as key, and the reason.
    """
    frame = to_frame(records)
    for name in frame.columns:
        if frame[name].dtype.kind not in "ifb":
            frame[name] = frame[name].map(inert_cell, na_action="ignore")
    frame.columns = [inert_cell(name) for name in frame.columns]
    text: str = frame.to_csv(index=False, lineterminator="\n")
    rest = io.StringIO()
    writer = csv.DictWriter(rest, list(frame.columns), restval="", lineterminator="\n")
    writer.writerows({"key": inert_cell(broken.path.parent.name), "status": INVALID,
                      "reason": inert_cell(broken.reason)} for broken in invalid)
    return text + rest.getvalue()


def board_data(board: Board) -> dict[str, Any]:
    """Return JSON data of a board: what its page shows, as numbers."""
    table = board.final
    data = {
        "name": board.name, "title": board.title, "preset": board.preset,
        "datasets": board.datasets, "notice": board.notice,
        "finding": finding(board), "superseded": board.superseded,
        "reference": board.reference, "criterion": board.criterion,
        "columns": [{**asdict(column), "better": column.words} for column in table.columns],
        "rows": [{"label": row.label, "method": row.method, "flags": row.flags,
                  "seeds": row.seeds, "costs": asdict(row.costs),
                  "sweep": asdict(row.sweep) if row.sweep else None,
                  "values": {column.name: _value(entry) for column, entry in
                             zip(table.columns, row.entries, strict=True)}}
                 for row in table.rows],
        "absent": [{"label": label, "published": {name: asdict(value)
                                                  for name, value in published.items()}}
                   for label, published in table.absent],
        "unavailable": [asdict(gap) for gap in table.gaps],
        "inapplicable": [{"why": why, "titles": titles} for why, titles in table.inapplicable],
        "notes": [{"note": note, "labels": labels} for note, labels in board.notes],
        "failures": [asdict(failure) for failure in board.failures],
        "cells": [record.identity.key for record in board.records],
    }
    return {key: _finite(value) for key, value in data.items()}


def _value(entry: Entry) -> dict[str, Any]:
    """One entry as data; without a value the number of its gap, and what was published."""
    published = asdict(entry.published) if entry.published else None
    if entry.estimate is None:
        return {"mean": None, "gap": entry.gap, "published": published}
    return {**asdict(entry.estimate), "best": entry.best, "rank": entry.rank,
            "against": {label: asdict(difference) for label, difference in entry.against},
            "published": published}


def _finite(data: Any) -> Any:
    """Data with null for numbers that JSON does not have."""
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    return [_finite(value) for value in data] if isinstance(data, list | tuple) else data


def board_latex(board: Board) -> str:
    r"""Table of a board for a paper; needs ``\usepackage{booktabs}``."""
    columns = board.final.columns
    lines = [r"\begin{tabular}{l" + "r" * len(columns) + "}", r"\toprule",
             _line(["Method", *(_latex_header(column) for column in columns)]), r"\midrule"]
    lines += [_latex_row(row, columns) for row in board.final.rows]
    lines += [r"\bottomrule", r"\end{tabular}"]
    title = f"{printable(board.title)}, preset {printable(board.preset)}"
    lines.insert(0, " ".join(f"% {title}".split()))
    lines.insert(1, "% mean over seeds, 95 % interval over seeds and test images in brackets")
    return "\n".join(lines) + "\n"


def _latex_row(row: Row, columns: Sequence[Column]) -> str:
    entries = zip(row.entries, columns, strict=True)
    return _line([_latex(row.label), *(_latex_entry(entry, column) for entry, column in entries)])


def _latex_header(column: Column) -> str:
    unit = f" [{column.unit}]" if column.unit else ""
    return _latex(f"{column.heading}{unit} {column.arrow}")


def _latex_entry(entry: Entry, column: Column) -> str:
    if entry.estimate is None:
        return "--"
    mean = column.show(entry.estimate.mean)
    shown = rf"\textbf{{{mean}}}" if entry.best else mean
    if entry.estimate.interval is None:
        return shown
    low, high = entry.estimate.interval
    return rf"{shown} {{\scriptsize [{column.show(low)}, {column.show(high)}]}}"


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex(text: str) -> str:
    return escaped_latex(text, LATEX)


def empty_columns(table: Table) -> list[str]:
    """One line for each reason why whole columns have no value."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for gap in table.gaps:
        index = next(i for i, column in enumerate(table.columns) if column.name == gap.column)
        if all(row.entries[index].mean is None for row in table.rows):
            titles = reasons.setdefault((gap.why, gap.remedy), [])
            if table.columns[index].title not in titles:
                titles.append(table.columns[index].title)
    return [f"no value of {', '.join(titles)}: {why}{mending(remedy)}"
            for (why, remedy), titles in reasons.items()]


def mending(remedy: str) -> str:
    """What follows a reason where something mends it."""
    return f"; to mend it: {remedy}" if remedy else ""
