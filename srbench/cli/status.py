"""``srbench status``: where the cells of a run stand, also while it runs elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli.console import output
from srbench.cli.exits import ExitCode
from srbench.cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from srbench.engine.progress import Standing
    from srbench.results.store import Store

SHOWN = 20  # cells of one kind that are named one by one
EVERY = 2.0  # seconds between two looks of --watch
IDLE = 60.0  # seconds in which a run starts its next cell; after them what waits waits for nobody
ORDER = ("ok", "running", "waiting")


@click.command(help="""\b
Examples:
  srbench status
  srbench status --watch
  srbench status 2026-11-25-184210-3f9a --json

Show where the cells of a run stand: how many are done, what runs (step, rate, time left), and what
failed and why. It reads files only, so it may be asked from any machine that sees the runs folder.
Without PLAN the newest one is shown. Exit codes: 3 if a cell is not ok, 4 if there is no plan.
""")
@click.argument("plan", required=False, metavar="[PLAN]")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True,
              metavar="DIR", help="Where records are kept.")
@click.option("--watch", is_flag=True, help="Look again every 2 s while cells run.")
@json_option
@click.pass_context
def command(context: click.Context, plan: str | None, runs: Path, *, watch: bool,
            as_json: bool) -> None:
    """Read where the cells stand and show it."""
    from srbench.engine.progress import standings
    from srbench.results.store import Store

    store = Store(runs)
    plan = plan or store.latest_plan()
    if plan is None:
        output().error(f"there is no plan in {runs}",
                       "srbench run --methods ots,wgan-gp --dataset w2-early")
        context.exit(ExitCode.NOTHING)
    document, busy = store.read_plan(plan), time.monotonic()
    while True:
        found = standings(store, document)
        if as_json:
            output().document(as_data(plan, found))
        else:
            if watch and output().stdout.is_terminal:
                click.clear()
            show(plan, found, store)
        states = {cell.state for cell in found}
        if "running" in states:
            busy = time.monotonic()
        elif "waiting" not in states or time.monotonic() - busy >= IDLE:
            break
        if not watch:
            break
        time.sleep(EVERY)
    if any(cell.state not in ORDER for cell in found):
        context.exit(ExitCode.CELLS)


def as_data(plan: str, found: Sequence[Standing]) -> dict[str, Any]:
    """The same as JSON data."""
    return {"plan": plan, "counts": dict(Counter(cell.state for cell in found)),
            "seconds_left": seconds_left(found),
            "cells": [{"key": cell.key, "name": cell.name, "state": cell.state,
                       "reason": cell.reason, **({"live": cell.live} if cell.live else {})}
                      for cell in found]}


def show(plan: str, found: Sequence[Standing], store: Store) -> None:
    """Print counts, running cells and those that are not ok."""
    from srbench.cli.progress import duration

    counts = Counter(cell.state for cell in found)
    words = [f"{counts.pop(state)} {state}" for state in ORDER if state in counts]
    words += [f"{number} {state}" for state, number in sorted(counts.items())]
    left = seconds_left(found)
    output().answer(f"{plan}: {len(found)} cells: {', '.join(words)}"
                    + (f"; about {duration(left)} left" if left else ""))
    _running([cell for cell in found if cell.state == "running"])
    bad = [cell for cell in found if cell.state not in ORDER]
    if bad:
        output().answer()
        output().table(["key", "cell", "status", "reason"],
                       [[cell.key[:10], cell.name, cell.state, cell.reason]
                        for cell in bad[:SHOWN]])
        _more(len(bad), "are not ok")
        output().answer(f"logs: {store.runs}/cells/KEY/log.txt")


def _running(cells: Sequence[Standing]) -> None:
    """Print what runs."""
    from srbench.cli.progress import duration

    if not cells:
        return
    rows = []
    for cell in cells[:SHOWN]:
        live = cell.live
        steps = "" if live.get("step") is None else f"{live['step']}/{live.get('steps') or '?'}"
        rate = live.get("rate")
        eta = live.get("eta")
        rows.append([cell.key[:10], cell.name, str(live.get("stage") or live.get("phase") or ""),
                     steps, "" if rate is None else f"{rate:.1f} step/s",
                     "" if eta is None else f"{duration(eta)} left",
                     f"{live.get('pid')}@{live.get('host')}"])
    output().answer()
    output().table(["key", "cell", "stage", "step", "rate", "time", "process"], rows)
    _more(len(cells), "are running")


def _more(number: int, words: str) -> None:
    if number > SHOWN:
        output().answer(f"... {number - SHOWN:,} more {words} (--json lists all)")


def seconds_left(found: Sequence[Standing]) -> float | None:
    """Rough time until the plan is done: what waits at the pace of what is done.

    None while nothing has been finished or nothing runs.
    """
    spans = [span for cell in found if cell.state == "ok" and (span := _span(cell.live))]
    running = [cell for cell in found if cell.state == "running"]
    if not spans or not running:
        return None
    mean = sum(spans) / len(spans)
    waiting = sum(cell.state == "waiting" for cell in found)
    last = max((cell.live.get("eta") or mean / 2 for cell in running), default=0.0)
    return float(waiting * mean / len(running) + last)


def _span(live: dict[str, Any]) -> float | None:
    """Seconds from start to end."""
    try:
        start, end = (datetime.fromisoformat(live[name]) for name in ("started", "finished"))
    except (KeyError, TypeError, ValueError):
        return None
    return (end - start).total_seconds()
