"""What a person sees while cells run: bars on a terminal, sparse lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from srbench.cli.console import output
from srbench.foreign.text import printable_lines
from srbench.results.record import Record, Status

if TYPE_CHECKING:
    from rich.console import Console

    from srbench.plan import Cell

LINE_SECONDS = 30.0  # off a terminal, at most one progress line per cell in this time


def duration(seconds: float | None) -> str:
    """Words for a time span: ``45 s``, ``3 min 20 s``, ``2 h 05 min``; ``unknown`` for None."""
    if seconds is None:
        return "unknown"
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total // 3600} h {total % 3600 // 60:02d} min"


def outcome_words(record: Record) -> str:
    """One line for a finished cell: its first scores, or what went wrong."""
    if record.outcome.status is not Status.OK:
        return f"{record.outcome.status}: {record.outcome.reason}"
    scores = [f"{value.title} {value.value:.{value.decimals}f} {value.unit}".rstrip()
              for value in record.values.final.values() if value.value is not None]
    return "   ".join(scores[:3])


@contextmanager
def bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show one bar on a terminal, for more than one thing; yield what is called after each."""
    console = output().stderr
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                  TimeElapsedColumn(), console=console, transient=True,
                  disable=not console.is_terminal or total < 2) as bars:
        task = bars.add_task(what, total=total)
        yield lambda: bars.advance(task)


class RunProgress:
    """Shows events of running cells on a console; use as a context manager.

    Parameters
    ----------
    console : rich.console.Console
        stderr, or that of a notebook.
    total : int
        Cells of the plan.
    done : int
        Cells that were finished before.
    """

    def __init__(self, console: Console, *, total: int, done: int) -> None:
        self._console, self._total, self._finished = console, total, done
        self._tasks: dict[str, TaskID] = {}
        self._last_line: dict[str, float] = {}
        self._moves = console.is_terminal or console.is_jupyter
        self._bars = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24),
            MofNCompleteColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn(),
            console=console, disable=not self._moves, transient=True)
        self._plan = self._bars.add_task("plan", total=total, completed=done, note="cells")

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._bars.stop()

    def on_event(self, cell: Cell, event: dict[str, Any]) -> None:
        """Show one event."""
        handler = getattr(self, f"_on_{event.get('event')}", None)
        if handler is not None:
            handler(cell, event)

    def _say(self, text: str) -> None:
        self._bars.console.print(printable_lines(text), highlight=False, markup=False,
                                 soft_wrap=True)

    def _on_started(self, cell: Cell, event: dict[str, Any]) -> None:
        self._tasks[cell.key] = self._bars.add_task(cell.name, total=None, note="starting")
        if not self._moves:
            self._say(f"start  {cell.name}")

    def _on_phase(self, cell: Cell, event: dict[str, Any]) -> None:
        self._bars.update(self._tasks[cell.key], note=str(event.get("phase", "")))

    def _on_progress(self, cell: Cell, event: dict[str, Any]) -> None:
        steps, step = event.get("steps"), event.get("step", 0)
        rate, eta = event.get("rate"), event.get("eta")
        note = str(event.get("stage", ""))
        if rate is not None:
            note += f"  {rate:.1f} step/s  {duration(eta)} left"
        self._bars.update(self._tasks[cell.key], total=steps, completed=step, note=note)
        now = time.monotonic()
        if not self._moves and (
                now - self._last_line.setdefault(cell.key, now) >= LINE_SECONDS):
            self._last_line[cell.key] = now
            self._say(f"       {cell.name}: step {step}/{steps}  {note}")

    def _on_stopping(self, cell: Cell, event: dict[str, Any]) -> None:
        self._say(f"stopping {cell.name}: writing a checkpoint (Ctrl-C again kills it)")

    def _on_elsewhere(self, cell: Cell, event: dict[str, Any]) -> None:
        self._forget(cell)
        self._say(f"wait   {cell.name}: process {event['pid']} on {event['host']} is running it")

    def _on_retry(self, cell: Cell, event: dict[str, Any]) -> None:
        self._forget(cell)
        self._say(f"again  {cell.name}: {event['why']}")

    def _forget(self, cell: Cell) -> None:
        """Take the bar of a cell away."""
        task = self._tasks.pop(cell.key, None)
        if task is not None:
            self._bars.remove_task(task)

    def _on_finished(self, cell: Cell, event: dict[str, Any]) -> None:
        self._finished += 1
        self._forget(cell)
        self._bars.update(self._plan, completed=self._finished)
        record: Record = event["record"]
        seconds = record.cost.seconds_fit
        self._say(f"[{self._finished}/{self._total}] {cell.name}: {outcome_words(record)}"
                  + (f"   fit {duration(seconds)}" if seconds else ""))
