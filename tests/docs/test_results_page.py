"""Every figure of docs/results.md about a board is that of the board's records."""

from __future__ import annotations

import json
import re
import statistics
import tomllib
from itertools import chain
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
BOARDS = ROOT / "leaderboards"
PAGE = (ROOT / "docs/results.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
HERE = ("w2-early@embedded", "mix3tomix10", "aim19@embedded")
METRICS = {"L2-UVP": "l2-uvp", "official": "l2-uvp-official", "palette gap": "palette-gap",
           "palette SW2": "palette-sw2", "colour shift": "colour-shift",
           "spectrum gap": "spectrum-gap", "transport cost": "transport-cost", "cosine": "cosine",
           "PSNR": "psnr", "SSIM": "ssim", "LPIPS": "lpips"}


def records_of(board):
    """Records by title of the dataset and label of the method."""
    found = {}
    for path in (BOARDS / "records" / board / "cells").glob("*/record.json"):
        record = json.loads(path.read_text(encoding="utf-8")) | {"folder": path.parent}
        who = record["identity"]["title"], record["identity"]["label"]
        found.setdefault(who, []).append(record)
    return found


RECORDS = {board: records_of(board) for board in HERE}
DEFINED = tomllib.loads((BOARDS / "mix3tomix10.toml").read_text(encoding="utf-8"))["published"]


def values(records, metric):
    return [record["values"]["final"][metric]["value"] for record in records]


def written(text):
    """Mean and deviation as a cell shows them, and their decimals."""
    mean, _, deviation = text.partition(" ± ")
    return float(mean), float(deviation or 0), len(mean.partition(".")[2])


def rows(section, first):
    """Rows of the table whose head begins with these words, as dicts."""
    lines = section.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {first}"))
    head, _, *body = [[cell.strip() for cell in line.split("|")[1:-1]]
                      for line in lines[start:] if line.startswith("|")]
    return [dict(zip(head, row, strict=True)) for row in body]


def metric_of(title):
    return next((name for words, name in METRICS.items() if title.startswith(words)), None)


def check_row(row, records):
    checked = 0
    for title, text in row.items():
        if metric := metric_of(title):
            mean, deviation, decimals = written(text)
            found = values(records, metric)
            assert mean == pytest.approx(statistics.mean(found), abs=0.5001 * 10**-decimals), title
            assert deviation == pytest.approx(statistics.stdev(found),
                                              abs=0.5001 * 10**-decimals), title
            checked += 1
    return checked


@pytest.mark.parametrize(("board", "columns"), [("w2-early@embedded", 9), ("aim19@embedded", 8)])
def test_tables_of_boards(board, columns):
    shown = rows(SECTIONS[board], "method")
    assert {row["method"] for row in shown} == {label for _, label in RECORDS[board]}
    for row in shown:
        assert check_row(row, RECORDS[board][board, row["method"]]) == columns
    means = [written(next(text for title, text in row.items() if metric_of(title)))[0]
             for row in shown]
    assert means == sorted(means)  # the best first


def test_table_of_mix3tomix10():
    shown = rows(SECTIONS["mix3tomix10"], "dim")
    records = RECORDS["mix3tomix10"]
    assert len(shown) == len(records) == 16
    for row in shown:
        title = f"mix3tomix10[dim={row['dim']}]"
        found = records[title, row["method"]]
        assert check_row(row, found) == 2
        published = next(one for one in DEFINED if (one["dataset"], one["label"], one["metric"])
                         == (title, row["method"], "l2-uvp"))
        assert float(row["published"]) == published["value"]
        assert float(row["tolerance"]) == published["tolerance"]
        near = abs(statistics.mean(values(found, "l2-uvp")) - published["value"]
                   ) <= published["tolerance"]
        assert row[""] == ("reproduced" if near else "not reproduced"), row


def known_of(board):
    """All numbers that the records of a board hold or give: means, spreads, references, ends."""
    for records in RECORDS[board].values():
        for metric, value in records[0]["values"]["final"].items():
            if value["value"] is None:
                continue
            found = values(records, metric)
            yield from (*found, statistics.mean(found), statistics.stdev(found))
            yield from value["reference"].values()
        for record in records:
            path = record["folder"] / "history.parquet"
            if path.is_file():
                frame = pq.read_table(path).to_pandas()
                for _, series in frame.groupby("name")["value"]:
                    yield from (series.iloc[0], series.iloc[-1])
    yield from chain.from_iterable((one["value"], one["tolerance"]) for one in DEFINED)
    yield from PAPER


PAPER = (25.2,)  # L2-UVP at lambda 0 in Table 2; the test of docs/reproduce.md has the source


@pytest.mark.parametrize("board", HERE)
def test_numbers_in_the_text(board):
    prose = re.sub(r"```.*?```|^\|.*?$|`[^`]*`|\]\([^)]*\)", "", SECTIONS[board],
                   flags=re.DOTALL | re.MULTILINE)
    known = list(known_of(board))
    numbers = re.findall(r"(?<![\w.,^])\d+\.\d+(?![\w.])", prose)
    assert numbers or board == "mix3tomix10"
    for number in numbers:
        near = 0.5001 * 10 ** -len(number.partition(".")[2])
        assert any(abs(float(number) - abs(one)) <= near for one in known) or \
            number in shown_by_commands(board), number


def shown_by_commands(board):
    """Numbers in the outputs of the section's commands, which tests/docs/test_blocks.py runs."""
    return set(re.findall(r"\d+\.\d+", "".join(re.findall(r"```console.*?```", SECTIONS[board],
                                                            flags=re.DOTALL))))


@pytest.mark.parametrize("board", HERE)
def test_what_is_said_of_the_runs(board):
    found = list(chain.from_iterable(RECORDS[board].values()))
    assert f"All {len(found)} cells ended ok" in SECTIONS[board].replace("\n", " ")
    assert {record["outcome"]["status"] for record in found} == {"ok"}
    assert {record["identity"]["seed"] for record in found} == {0, 1, 2}
    packages = {record["environment"]["packages"]["torch"] for record in found}
    assert packages == {re.search(r"torch ([\d.]+\d)", PAGE)[1]}
    flags = {flag for record in found for flag in record["outcome"]["flags"]}
    for flag in re.findall(r"flag `([a-z-]+)`", SECTIONS[board]):
        assert flag in flags
