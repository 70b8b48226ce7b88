"""``srbench check``: whether a plugin keeps its promises."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli.console import output
from srbench.cli.exits import ExitCode
from srbench.cli.options import complete_names, json_option, plugin_option
from srbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from srbench.conformance.check import Result
    from srbench.conformance.merge import Partial


@click.command(help="""\b
Examples:
  srbench check my-method
  srbench check ./srbench-my-method
  srbench check my_plugin.py --only resume-is-exact,same-seed-same-bits

Run the conformance checks of a method, a dataset, a metric, or of everything that a plugin, a
Python file or the folder of a package provides, on small synthetic data with a known map and
without network. Exit code 3 says that a check failed; warnings and checks that could not be tried
do not.
""")
@click.argument("name", required=False, shell_complete=complete_names)
@click.option("--only", default="", metavar="CHECK,...", help="Run these checks alone.")
@click.option("--list", "as_list", is_flag=True, help="List all checks and what each promises.")
@json_option
@click.option("--markdown", "as_markdown", is_flag=True, help="A Markdown table.")
@click.option("--timeout", type=click.FloatRange(min=1), default=60, show_default=True,
              metavar="SECONDS", help="Longest time for one check.")
@plugin_option
@click.pass_context
def command(context: click.Context, name: str | None, only: str, plugins: tuple[Path, ...], *,
            as_list: bool, as_json: bool, as_markdown: bool, timeout: float) -> None:
    """Check, show, exit."""
    if as_list:
        list_checks(as_json=as_json, as_markdown=as_markdown)
        return
    if not name:
        raise UsageError("nothing to check", hint="srbench check NAME, or srbench check path.py")
    from srbench.conformance.run import run_checks

    names = [word.strip() for word in only.split(",") if word.strip()]
    with Telling() as telling:
        results = run_checks(name, only=names, plugins=plugins, timeout=timeout,
                             on_plan=telling.plan, on_result=telling.tell)
    if as_json:
        output().document(as_data(name, results))
    elif as_markdown:
        output().answer(markdown(results))
    else:
        show(results)
    if not results:
        context.exit(ExitCode.NOTHING)
    if any(result.verdict == "failed" for result in results):
        context.exit(ExitCode.CELLS)


class Telling:
    """What is said while checks run: a bar on a terminal, a line for what did not pass."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stack = ExitStack()
        self._shell = output()  # the threads that tell have no context to find it by

    def __enter__(self) -> Telling:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def plan(self, count: int) -> None:
        """Begin a bar of ``count`` checks, each counted once for every problem."""
        hidden = self._shell.verbosity < 0 or not sys.stderr.isatty()
        self._bar = self._stack.enter_context(click.progressbar(
            length=count, label="checking", file=sys.stderr, hidden=hidden))

    def tell(self, partial: Partial) -> None:
        """Count a check; with ``-v`` say how each ended, else only what did not pass."""
        where = f" on {partial.problem}" if partial.problem else ""
        bad = partial.verdict in ("failed", "warning")
        say = self._shell.note if bad else self._shell.detail
        say(f"{partial.subject}: {partial.check}{where}: {partial.verdict} "
            f"({partial.seconds:.1f} s)")
        if self._bar is not None:
            self._bar.update(1)


def show(results: Sequence[Result]) -> None:
    """Print the table, and below it what is wrong with its remedy."""
    output().table(("check", "kind", "name", "verdict"),
                   [(result.check, result.kind, result.subject, str(result.verdict))
                    for result in results])
    for result in results:
        if result.remedy:
            output().answer(f"\n{result.verdict}: {result.check} ({result.subject})")
            output().answer(f"  {result.detail}")
            output().answer(f"  remedy: {result.remedy}")
    reasons: dict[str, list[str]] = {}
    for result in results:
        if result.verdict == "not tried":
            reasons.setdefault(result.detail, []).append(result.check)
    for reason, names in reasons.items():
        output().answer(f"\nnot tried: {', '.join(names)}\n  {reason}")
    output().answer(f"\n{counted(results)}")


def counted(results: Sequence[Result]) -> str:
    """How many checks ended how, in words."""
    verdicts = [str(result.verdict) for result in results]
    names = {"passed": "passed", "failed": "failed", "warning": "with a warning",
             "not tried": "not tried"}
    parts = [f"{verdicts.count(verdict)} {words}" for verdict, words in names.items()
             if verdict in verdicts]
    return f"{len(results)} checks: {', '.join(parts)}"


def as_data(name: str, results: Sequence[Result]) -> dict[str, Any]:
    """The results as JSON data."""
    return {"name": name, "ok": all(result.verdict != "failed" for result in results),
            "results": [asdict(result) for result in results]}


def markdown(results: Sequence[Result]) -> str:
    """The results as a Markdown table, with what is wrong in its last column."""
    lines = ["| check | of | verdict | detail |", "|---|---|---|---|"]
    for result in results:
        detail = result.detail + (f" Remedy: {result.remedy}" if result.remedy else "")
        lines.append(f"| `{result.check}` | {result.kind} {result.subject} | {result.verdict} | "
                     f"{_cell(detail)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def list_checks(*, as_json: bool, as_markdown: bool) -> None:
    """Print every check with what it promises."""
    from srbench.conformance.registry import checks

    if as_json:
        output().document([{"check": check.name, "kind": check.kind, "warning": check.warning,
                            "what": check.what, "remedy": check.remedy} for check in checks()])
    elif as_markdown:
        output().answer("\n".join([
            "| check | of | what must hold | remedy |", "|---|---|---|---|",
            *(f"| `{check.name}` | {check.kind} | {_cell(check.what)} | {_cell(check.remedy)} |"
              for check in checks())]))
    else:
        output().table(("check", "kind", "what must hold"),
                       [(check.name, check.kind, check.what) for check in checks()])
