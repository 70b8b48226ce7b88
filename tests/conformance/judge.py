"""Run the checks on many plugins in the processes that run them for users."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from srbench.conformance.check import Result, Verdict
from srbench.conformance.merge import merged
from srbench.conformance.runner import TIMEOUT, Runner, jobs_of
from srbench.conformance.targets import Target
from tests.conformance.mutants.table import Mutant

BAD = (Verdict.FAILED, Verdict.WARNED)


def judged(mutants: Sequence[Mutant], folder: Path, *,
           right_only: bool = False) -> dict[str, dict[str, Result]]:
    """Return what each check says of each plugin, by their names; the plugins share processes."""
    runner = Runner([mutant.write(folder) for mutant in mutants], TIMEOUT, lambda partial: None)
    targets = {mutant.name: Target(mutant.kind, mutant.name) for mutant in mutants}
    jobs = [job for mutant in mutants
            for job in jobs_of([targets[mutant.name]],
                               frozenset({mutant.check} if right_only else ()))]
    partials = runner.run(jobs)
    return {name: {result.check: result for result in merged(partials, [target])}
            for name, target in targets.items()}


def blamed(results: dict[str, Result]) -> set[str]:
    """Names of the checks that are not content."""
    return {name for name, result in results.items() if result.verdict in BAD}
