"""``srbench publish``: records and the pages they give, into ``leaderboards/``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli.board import progress
from srbench.cli.console import output
from srbench.cli.exits import ExitCode
from srbench.cli.options import json_option
from srbench.errors import SrbenchError, UsageError

if TYPE_CHECKING:
    from srbench.boards.committed import Difference
    from srbench.boards.definition import Definition
    from srbench.boards.pages_branch import Branch
    from srbench.boards.publication import Change, Publication

MANY = 12  # files of one folder are then counted, not listed


@click.command(help="""\b
Examples:
  srbench publish --dry-run
  srbench publish w2-early@embedded --yes
  srbench publish --branch gh-pages

Put the records of runs/ that belong to the boards defined in leaderboards/ there, with their
tables and sample images, never checkpoints or logs, and rebuild the pages. Every record and file is
checked; records that differ in preset, protocol or data are not mixed in one ranking. The files
that are added, changed and removed are printed. NAME chooses boards. What is refused and what is
left out: docs/leaderboards.md.
""")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True,
              metavar="DIR", help="Where records are.")
@click.option("--to", "boards", type=click.Path(path_type=Path), default=Path("leaderboards"),
              show_default=True, metavar="DIR", help="Folder of the definitions.")
@click.option("--dry-run", is_flag=True, help="Write nothing.")
@click.option("--replace", is_flag=True,
              help="Give up the records that were published on these boards before.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--branch", metavar="NAME",
              help="Also commit the pages to this branch of the repository, as in gh-pages; "
              "nothing is pushed, and neither working tree nor index is touched.")
@json_option
@click.pass_context
def command(context: click.Context, names: tuple[str, ...], runs: Path, boards: Path,
            branch: str | None, *, dry_run: bool, replace: bool, yes: bool, as_json: bool) -> None:
    """Check, show, ask, write."""
    from srbench.boards.definition import find_definition, load_definitions
    from srbench.boards.pages_branch import check_branch

    known = load_definitions(boards)
    chosen = [find_definition(known, name) for name in dict.fromkeys(names)] or known
    if not chosen:
        output().error(f"no board is defined in {boards}", "write NAME.toml: docs/leaderboards.md")
        context.exit(ExitCode.NOTHING)
    if branch is not None:
        check_branch(boards, branch)
    publications = _prepare(chosen, runs, boards, replace=replace, dry_run=dry_run)
    if branch is None and not any(publication.fresh for publication in publications):
        output().error(*_nothing(chosen, runs))
        context.exit(ExitCode.NOTHING)
    found = [change for publication in publications for change in publication.changes()]
    if not as_json:
        _show(publications, found, boards)
    if not dry_run:
        _ask(found, branch, boards, yes=yes)
        for publication in publications:
            publication.apply()
    pages = _pages(known, boards, dry_run=dry_run)
    done = _branch(boards, branch) if branch is not None and not dry_run else None
    if as_json:
        output().document(_data(publications, found, pages, done, dry_run=dry_run))
    else:
        _show_pages(pages, boards, branch, done, dry_run=dry_run)


def _prepare(chosen: Sequence[Definition], runs: Path, boards: Path, *, replace: bool,
             dry_run: bool) -> list[Publication]:
    """What publishing would change, board by board, once an interrupted one is put in order."""
    from srbench.boards.publication import recover
    from srbench.boards.publish import prepare

    publications = []
    for definition in chosen:
        output().note(f"checking {definition.name}")
        if not dry_run:
            recover(boards / "records" / definition.name)
        publications.append(prepare(definition, runs, boards, replace=replace))
    for path, reason in dict.fromkeys((broken.path, broken.reason) for publication in publications
                                      for broken in publication.invalid):
        output().warn(f"{path} is left out: {reason}")
    return publications


def _nothing(chosen: Sequence[Definition], runs: Path) -> tuple[str, str]:
    """Why there is nothing to publish, and what would make it."""
    if len(chosen) > 1:
        names = ", ".join(definition.name for definition in chosen)
        return f"no record in {runs} belongs to a board ({names})", (
            "srbench show lists the datasets and presets of the records")
    board = chosen[0]
    wanted = f"{' or '.join(board.datasets)}, preset {board.preset}"
    wanted += f", source {board.source}" if board.source else ""
    wanted += f", methods {', '.join(board.methods)}" if board.methods else ""
    return (f"no record in {runs} belongs to the board {board.name}: it takes {wanted}",
            board.command or "srbench show lists the datasets and presets of the records")


def _show(publications: Sequence[Publication], found: Sequence[Change], boards: Path) -> None:
    """Print the files that change, many of one folder as one line, and what is cut."""
    for publication in publications:
        for cell in publication.fresh:
            if cell.cut:
                output().note(f"cell {cell.key[:12]} of {publication.name}: of paths of this "
                              f"machine only the last part is published ({', '.join(cell.cut)})")
    for line in listed([(change.kind, change.path) for change in found], boards):
        output().answer(line)


def listed(found: Sequence[tuple[str, str]], folder: Path) -> list[str]:
    """One line for each change; more than `MANY` of one kind in one folder become one line."""
    groups: dict[tuple[str, str], list[str]] = {}
    for kind, path in found:
        groups.setdefault((kind, path.rpartition("/")[0]), []).append(path)
    lines = []
    for (kind, inner), paths in groups.items():
        if len(paths) > MANY:
            lines.append(f"{kind}: {folder / inner} ({len(paths)} files)")
        else:
            lines += [f"{kind}: {folder / path}" for path in paths]
    return lines


def _ask(found: Sequence[Change], branch: str | None, boards: Path, *, yes: bool) -> None:
    """Have the user agree; raises `UsageError` where nobody can be asked."""
    if yes or not (found or branch):
        return
    what = f"{len(found)} files in {boards}" + (f" and the branch {branch}" if branch else "")
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"publishing changes {what}, and nobody can be asked: stdin is no "
                         "terminal", hint="--yes, or --dry-run to look only")
    if not click.confirm(f"Change {what}?", err=True):
        raise SrbenchError("nothing was published")


def _pages(known: Sequence[Definition], boards: Path, *, dry_run: bool) -> list[Difference]:
    """Rebuild the pages of all boards and return what that changed."""
    from srbench.boards.committed import build_committed, built_beside, differences, take_over

    if dry_run:
        return []
    pages = boards / "pages"
    build = build_committed(known, boards, pixels=True, progress=progress)
    with built_beside(pages, build) as fresh:
        found = differences(pages, fresh)
        take_over(pages, fresh, found)
    return found


def _branch(boards: Path, branch: str) -> Branch:
    from srbench.boards.pages_branch import commit_pages

    return commit_pages(boards / "pages", branch, "Leaderboards")


def _show_pages(pages: Sequence[Difference], boards: Path, branch: str | None,
                done: Branch | None, *, dry_run: bool) -> None:
    for line in listed(pages, boards / "pages"):
        output().answer(line)
    if dry_run:
        output().note(f"nothing was written; the pages in {boards / 'pages'} would be rebuilt"
                      + (f" and committed to {branch}" if branch else ""))
    elif done is not None:
        state = "is now at" if done.changed else "already has these pages, at"
        output().answer(f"branch {done.name} {state} {done.commit[:12]}; to publish it:")
        output().answer(done.push)


def _data(publications: Sequence[Publication], found: Sequence[Change],
          pages: Sequence[Difference], done: Branch | None, *, dry_run: bool) -> dict[str, Any]:
    """The result as JSON data."""
    return {
        "dry_run": dry_run,
        "boards": [{"name": publication.name, "cells": len(publication.cells),
                    "new": [cell.key for cell in publication.fresh],
                    "cut": {cell.key: cell.cut for cell in publication.fresh if cell.cut}}
                   for publication in publications],
        "records": [vars(change) for change in found],
        "pages": [{"kind": kind, "path": f"pages/{path}"} for kind, path in pages],
        "branch": None if done is None else vars(done),
    }
