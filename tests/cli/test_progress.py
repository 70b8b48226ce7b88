"""What a person sees while cells run, on a terminal and off it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from srbench.cli import progress
from srbench.cli.progress import RunProgress, duration, outcome_words
from tests.engine.cells import make_cell
from tests.results.factory import make_metric, make_record


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None,
                   force_interactive=terminal)


@pytest.mark.parametrize(("seconds", "words"), [
    (None, "unknown"), (0, "0 s"), (0.4, "0 s"), (45.2, "45 s"), (59.4, "59 s"),
    (59.6, "1 min 00 s"), (200, "3 min 20 s"), (61, "1 min 01 s"), (3599.7, "1 h 00 min"),
    (7500, "2 h 05 min"), (90_061, "25 h 01 min")])
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words


def test_words_of_a_finished_cell():
    metrics = {"l2-uvp": 6.149, "psnr": make_metric("psnr", None, unavailable="vectors"),
               "cosine": 0.98765, "lpips": 0.1234, "palette": 0.2}
    assert outcome_words(make_record(metrics=metrics)) == (
        "L2-UVP 6.1 %   Cosine 0.988   LPIPS 0.123")
    assert outcome_words(make_record(status="oom", reason="no memory")) == "oom: no memory"
    assert outcome_words(make_record(metrics={})) == ""


def shown(screen: Console) -> str:
    return screen.file.getvalue()


def test_off_a_terminal_there_are_lines_and_no_control_codes():
    screen, cell = console(terminal=False), make_cell("ots[lr=1]")
    with RunProgress(screen, total=2, done=1) as bars:
        bars.on_event(cell, {"event": "started"})
        bars.on_event(cell, {"event": "phase", "phase": "fit"})
        for step in range(50):
            bars.on_event(cell, {"event": "progress", "stage": "main", "step": step, "steps": 50,
                                 "rate": 10.0, "eta": 5.0})
        bars.on_event(cell, {"event": "finished", "record": make_record(seconds_fit=200.0)})
    assert shown(screen).splitlines() == [
        "start  ots[lr=1] on w2-early, seed 0",
        "[2/2] ots[lr=1] on w2-early, seed 0: L2-UVP 6.1 %   PSNR 24.31 dB   fit 3 min 20 s"]


def test_off_a_terminal_a_long_cell_says_something_now_and_then(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    screen, cells = console(terminal=False), [make_cell("a"), make_cell("b")]
    with RunProgress(screen, total=2, done=0) as bars:
        for cell in cells:
            bars.on_event(cell, {"event": "started"})
        for second in range(0, 101, 5):
            clock[0] = float(second)
            bars.on_event(cells[0], {"event": "progress", "stage": "main", "step": second,
                                     "steps": 500, "rate": 1.0, "eta": 500.0 - second})
    lines = [line for line in shown(screen).splitlines() if "step" in line]
    assert lines == [f"       a on w2-early, seed 0: step {step}/500  main  1.0 step/s  "
                     f"{duration(500 - step)} left" for step in (30, 60, 90)]


def test_on_a_terminal_there_are_bars_with_rate_and_time_left():
    screen, cell = console(terminal=True), make_cell("ots")
    with RunProgress(screen, total=4, done=1) as bars:
        bars.on_event(cell, {"event": "started"})
        bars.on_event(cell, {"event": "progress", "stage": "main", "step": 30, "steps": 120,
                             "rate": 12.34, "eta": 90.0})
        bars._bars.refresh()
        drawn = shown(screen)
        bars.on_event(cell, {"event": "finished", "record": make_record()})
    assert "ots on w2-early, seed 0" in drawn
    assert "30/120" in drawn
    assert "12.3 step/s  1 min 30 s left" in drawn
    assert "1/4" in drawn
    assert "start " not in drawn
    assert "[2/4] ots on w2-early, seed 0: L2-UVP 6.1 %" in shown(screen)
    assert "2/4" in shown(screen)
    assert shown(screen).endswith("\x1b[2K")  # the bars are wiped at the end


def test_brackets_of_labels_and_reasons_are_shown_as_they_are():
    screen = console(terminal=False)
    with RunProgress(screen, total=1, done=0) as bars:
        record = make_record(status="failed", reason="[bold]no[/bold] [/] x", seconds_fit=0)
        bars.on_event(make_cell("m[a=[red]]"), {"event": "finished", "record": record})
    assert shown(screen) == ("[1/1] m[a=[red]] on w2-early, seed 0: "
                             "failed: [bold]no[/bold] [/] x\n")


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("event", [
    {"event": "unheard-of"}, {}, {"event": "phase"}, {"event": "progress"},
    {"event": "progress", "step": 3, "steps": None, "rate": None},
    {"event": "progress", "step": 3, "steps": 9, "rate": 2.0, "eta": None},
    {"event": "validation", "values": {"psnr": 1.0}}, {"event": "checkpoint"}])
def test_events_with_gaps_are_no_reason_to_stop(event, terminal):
    cell = make_cell("ots")
    with RunProgress(console(terminal=terminal), total=1, done=0) as bars:
        bars.on_event(cell, {"event": "started"})
        bars.on_event(cell, event)
        bars._bars.refresh()


def test_stopping_says_what_a_second_interrupt_does():
    screen = console(terminal=False)
    with RunProgress(screen, total=1, done=0) as bars:
        bars.on_event(make_cell("ots"), {"event": "started"})
        bars.on_event(make_cell("ots"), {"event": "stopping"})
    assert "writing a checkpoint (Ctrl-C again kills it)" in shown(screen)


def test_cells_that_never_started_are_counted_too():
    screen = console(terminal=False)
    with RunProgress(screen, total=2, done=0) as bars:
        for seed in (0, 1):
            record = make_record(status="interrupted", reason="not started", seconds_fit=0)
            bars.on_event(make_cell("ots", seed=seed), {"event": "finished", "record": record})
    assert shown(screen).splitlines() == [
        f"[{seed + 1}/2] ots on w2-early, seed {seed}: interrupted: not started"
        for seed in (0, 1)]
