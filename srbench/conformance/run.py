"""Run the checks of whatever a name stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from srbench.conformance.check import Result, Verdict
from srbench.conformance.merge import merged
from srbench.conformance.registry import chosen
from srbench.conformance.runner import TIMEOUT, Listener, Runner, jobs_of
from srbench.conformance.targets import resolve


def run_checks(name: str, *, only: Iterable[str] = (), plugins: Sequence[Path] = (),
               timeout: float = TIMEOUT, on_plan: Callable[[int], object] = lambda count: None,
               on_result: Listener = lambda partial: None) -> list[Result]:
    """Run the checks of everything a name stands for.

    Parameters
    ----------
    name : str
        A method, dataset, metric or plugin, or the path of a Python file or of a package.
    only : iterable of str
        Names of checks; empty runs all.
    plugins : sequence of Path
        One-off plugins to load besides.
    timeout : float
        Seconds one check may take.
    on_plan : callable
        Told before the first how many checks on how many problems there are.
    on_result : callable
        Told of every check on every problem, as it ends.

    Returns
    -------
    list of Result
        One for each check and thing, in the order of the registry.

    Raises
    ------
    UnknownName
        If nothing has the name, or there is no check of a name.
    """
    wanted = chosen(only)
    found = resolve(name, plugins)
    runner = Runner(found.plugins, timeout, on_result)
    jobs = jobs_of(found.targets, wanted)
    on_plan(sum(len(job.checks) for job in jobs))
    partials = runner.run(jobs)
    return [*(result for result in found.results if not wanted or result.check in wanted),
            *merged(partials, found.targets)]


def check_plugin(name: str | Path, only: Iterable[str] = (), *,
                 timeout: float = TIMEOUT) -> list[Result]:
    """Run the checks of a plugin; what a plugin's own test calls.

    Parameters
    ----------
    name : str or Path
        A method, dataset, metric or plugin, or the path of a Python file or of a package.
    only : iterable of str
        Names of checks; empty runs all.
    timeout : float
        Seconds one check may take.

    Returns
    -------
    list of Result
        What came of each check.

    Raises
    ------
    AssertionError
        If one failed, with the table of those that did.
    UnknownName
        If nothing has the name, or there is no check of a name.

    Examples
    --------
    >>> from srbench.testing import check_plugin
    >>> def test_it_keeps_its_promises():
    ...     check_plugin("bicubic")
    """
    results = run_checks(str(name), only=only, timeout=timeout)
    failed = [result for result in results if result.verdict is Verdict.FAILED]
    if failed:
        lines = [f"{result.check} ({result.kind} {result.subject}): {result.detail}\n"
                 f"    remedy: {result.remedy}" for result in failed]
        raise AssertionError(f"{len(failed)} of {len(results)} checks failed\n" + "\n".join(lines))
    return results
