"""From what a check said on each problem to what it says of the plugin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from srbench.conformance.check import Check, Kind, Result, Verdict
from srbench.conformance.registry import checks
from srbench.conformance.targets import Target

WORST_FIRST = (Verdict.FAILED, Verdict.WARNED, Verdict.PASSED, Verdict.NOT_TRIED)


@dataclass(frozen=True)
class Partial:
    """What came of one check on one problem.

    Parameters
    ----------
    kind, subject, check : str
        As in `Result`.
    problem : str
        ``"vectors"``, ``"images"`` or ``"photographs"``; empty for a check that needs none.
    verdict, detail, seconds
        As in `Result`.
    """

    kind: Kind
    subject: str
    check: str
    problem: str
    verdict: Verdict
    detail: str
    seconds: float


def merged(partials: Sequence[Partial], targets: Iterable[Target]) -> list[Result]:
    """Return a result for each check and target: the worst of what it said on the problems.

    A check that was tried on one problem and not on another is one that was tried.
    """
    found = []
    for target in targets:
        for check in checks(target.kind):
            own = [partial for partial in partials if partial.check == check.name
                   and (partial.kind, partial.subject) == (target.kind, target.name)]
            if own:
                found.append(_result(check, target, own))
    return found


def _result(check: Check, target: Target, partials: list[Partial]) -> Result:
    verdict = min((partial.verdict for partial in partials), key=WORST_FIRST.index)
    details: dict[str, list[str]] = {}
    for partial in partials:
        if partial.verdict is verdict and partial.detail:
            details.setdefault(partial.detail, []).append(partial.problem)
    said = [detail if len(problems) == len(partials) else f"on {' and '.join(problems)}: {detail}"
            for detail, problems in details.items()]
    bad = verdict in (Verdict.FAILED, Verdict.WARNED)
    return Result(check=check.name, kind=target.kind, subject=target.name, verdict=verdict,
                  detail="" if verdict is Verdict.PASSED else "; ".join(said),
                  remedy=check.remedy if bad else "",
                  seconds=round(sum(partial.seconds for partial in partials), 3))
