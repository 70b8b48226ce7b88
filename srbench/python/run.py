"""`srbench.run`: what ``srbench run`` does, from Python."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.errors import UsageError
from srbench.python.results import Results
from srbench.running.request import CONFIG_KEYS, LISTS, check_kind, typed
from srbench.running.run import Outcome, Run, build_page, carry_out, plan_run, start

if TYPE_CHECKING:
    from srbench.cli.console import Output
    from srbench.plan import Cell
    from srbench.registry.catalog import Catalog
    from srbench.running.run import OnEvent

WHERE = "srbench.run"
Texts = str | Sequence[str]
Place = str | Path


def run(methods: Texts, dataset: Texts, *, seeds: int | str | Sequence[int] = 1,
        preset: str | None = None,
        settings: Mapping[str, Mapping[str, Any]] | Texts | None = None,
        budget: str | None = None, metrics: Texts | None = None, device: str | None = None,
        precision: str | None = None, threads: int | None = None, jobs: int | None = None,
        timeout: float | None = None, plugins: Place | Sequence[Place] = (),
        runs: Place = "runs", executor: str | None = None, track: Texts = (),
        progress: bool = True, rerun: bool = False, gpus_per_cell: int | None = None,
        memory: float | None = None, gpu_memory: float | None = None,
        rank_timeout: float | None = None, checkpoint_every: float | None = None,
        address: str | None = None, slurm: Texts = ()) -> Results:
    """Train and evaluate methods on datasets, and return their results.

    The cells, their keys, records and pages are those of ``srbench run`` with the same options: a
    cell that is done is not run again, whoever ran it. Cells run in processes of their own, so this
    can be called from a script, a notebook or a thread, and needs no ``if __name__`` guard.

    Parameters
    ----------
    methods, dataset : str or sequence of str
        Specs as on the command line: ``"ots,wgan-gp[lambda=[10,100]]"`` or a list of such.
    seeds : int, sequence of int, or str
        A number n stands for the seeds 0 to n - 1; a sequence or text names them:
        ``[3, 4]``, ``"0-4"``.
    preset : str, optional
        quick (the default), paper or code.
    settings : mapping or str or sequence of str, optional
        ``{"ots": {"iterations": 500}}``, or ``"ots.iterations=500"``.
    budget : str, optional
        Where each training stops: ``"600s"``, ``"10m"``, ``"2h"``, ``"500it"``.
    metrics : str or sequence of str, optional
        Only these; all installed ones by default.
    device, precision, threads
        As ``--device``, ``--precision`` and ``--threads``.
    jobs, timeout
        Cells at a time; seconds a cell may take.
    plugins : path or sequence of paths
        Plugins in Python files, beside the installed ones.
    runs : path
        Where records are kept.
    executor : str, optional
        local (the default), ray or slurm.
    track : str or sequence of str
        Trackers that are told of the run.
    progress : bool
        Show bars or lines on stderr, whatever the terminal or the notebook can show; with False
        nothing is shown. Nothing is ever written to stdout.
    rerun : bool
        Run cells again that are already done.
    gpus_per_cell, memory, gpu_memory, rank_timeout, checkpoint_every, address, slurm
        As the options of those names; the memory in GiB, times in seconds.

    Returns
    -------
    Results
        Of all cells, also of those that failed: see `Results.failures`.

    Raises
    ------
    SrbenchError
        What the command line would answer: `UsageError` and below for what was asked.
    KeyboardInterrupt
        After an interrupt, when cells have written checkpoints and every record is safe. The same
        call goes on from there; the message also has the command.
    """
    texts = {"methods": methods, "dataset": dataset, "metrics": metrics, "track": track,
             "slurm": slurm, "set": settings}
    given = _given({
        **texts, "seeds": _seeds(seeds), "preset": preset, "precision": precision, "budget": budget,
        "device": device, "threads": threads, "jobs": jobs, "timeout": timeout,
        "plugin": [str(path) for path in _several(plugins)], "runs": str(runs),
        "executor": executor, "gpus-per-cell": gpus_per_cell, "memory": memory,
        "gpu-memory": gpu_memory, "rank-timeout": rank_timeout,
        "checkpoint-every": checkpoint_every, "address": address})
    planned = plan_run({**given, "rerun": rerun})
    return _carried_out(planned, command_line(planned), progress=progress)


def _carried_out(planned: Run, command: str, *, progress: bool) -> Results:
    """Write the plan, run it, build its page."""
    from srbench.cli.execute import resume_command, say_plan
    from srbench.cli.prefetch import fetch_required
    from srbench.python.progress import said

    out = said(progress)
    say_plan(planned, out.stderr)
    start(planned, command)

    def prepare(cells: Sequence[Cell], catalog: Catalog) -> None:
        fetch_required(cells, catalog, out)

    outcome = carry_out(planned, _shown(planned, out), prepare)
    results = _results(planned, outcome)
    if outcome.interrupted:
        raise KeyboardInterrupt(
            f"{len(outcome.unfinished)} of {len(outcome.records)} cells are not finished and every "
            f"record is safe; the same call goes on, or: {resume_command(planned)}")
    if outcome.bad:
        out.stderr.print(f"{len(outcome.records) - len(outcome.bad)} ok, {len(outcome.bad)} not "
                         "ok: results.failures says why")
    return results


def _results(planned: Run, outcome: Outcome) -> Results:
    page = build_page(planned, outcome)
    return Results(outcome.records, planned.store.runs, page=page, catalog=planned.catalog)


@contextmanager
def _shown(planned: Run, out: Output) -> Iterator[OnEvent]:
    from srbench.cli.progress import RunProgress

    with RunProgress(out.stderr, total=len(planned.cells), done=len(planned.done)) as bars:
        yield bars.on_event


def _seeds(seeds: int | str | Sequence[int]) -> Any:
    """Seeds as the command line takes them."""
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        if seeds < 1:
            raise UsageError(f"{WHERE}: seeds = {seeds} must be at least 1",
                             hint="a number of seeds, or a list of them")
        return "0" if seeds == 1 else f"0-{seeds - 1}"
    return seeds if isinstance(seeds, str) else _several(seeds)


def _several(value: Any) -> Any:
    """A list of what is given; what is no sequence stays, to be refused."""
    if isinstance(value, str | Path):
        return [value]
    return list(value) if isinstance(value, Sequence | range) else value


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Options as the command line gives them.

    Raises
    ------
    UsageError
        If a value is of the wrong kind.
    """
    given: dict[str, Any] = {}
    for key in CONFIG_KEYS:
        value = options[key]
        if isinstance(value, Mapping):
            value = {name: dict(table) if isinstance(table, Mapping) else table
                     for name, table in value.items()}
        elif key in LISTS and isinstance(value, tuple):
            value = list(value)
        name = key.replace("-", "_")
        empty = value is None or value in ([], {})
        if not empty:
            check_kind(WHERE, key, value)
        given[name] = ([] if key in ("methods", "dataset", "plugin", "set", "slurm", "track")
                       else None) if empty else typed(key, value)
    return given


def command_line(planned: Run) -> str:
    """The command that does what a run from Python does."""
    words = ["srbench", "run"]
    for key in CONFIG_KEYS:
        value = planned.given.get(key.replace("-", "_"))
        values = value if isinstance(value, list | tuple) else [] if value is None else [value]
        for text in values:
            if not (key == "runs" and str(text) == "runs"):
                words += [f"--{key}", str(text)]
    return shlex.join(words + ["--rerun"] * bool(planned.given.get("rerun")))
