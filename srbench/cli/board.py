"""``srbench board``: leaderboard pages, built and opened."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli.console import output
from srbench.cli.exits import ExitCode
from srbench.errors import UnknownName, UsageError
from srbench.foreign.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from srbench.boards.build import PageJob
    from srbench.boards.committed import Difference
    from srbench.boards.definition import Definition
    from srbench.results.store import Invalid

RUNS, BOARDS = Path("runs"), Path("leaderboards")
INDEX = "index.html"
WORDS = {"added": "missing", "removed": "left over", "changed": "differs"}


class Verbs(click.Group):
    """A group that suggests the nearest command."""

    def resolve_command(self, ctx: click.Context, args: list[str],
                        ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest one."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            close = get_close_matches(args[0], self.commands, n=1, cutoff=0.5)
            guess = f"; did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"no command named {args[0]!r}{guess}", ctx)
        return super().resolve_command(ctx, args)


@click.group("board", cls=Verbs, no_args_is_help=True, help="""\b
Examples:
  srbench board build
  srbench board open

Build and open leaderboard pages. What a board is, how to define and to publish one:
docs/leaderboards.md.
""")
def command() -> None:
    """Hold the commands."""


@command.command("build", help="""\b
Examples:
  srbench board build
  srbench board build w2-early@embedded --runs shared/runs --out pages
  srbench board build --definitions leaderboards --check

Build the pages of boards: from the records in runs/, or, with --definitions and without --runs,
from the records that were published beside the definitions. NAME chooses boards; without it, all
are built. Records of a dataset and preset that no file defines make a board of their own.
The path of the page is printed on stdout.
""")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--runs", type=click.Path(path_type=Path), metavar="DIR",
              help="Where records are.  [default: runs]")
@click.option("--definitions", type=click.Path(path_type=Path), metavar="DIR",
              help="Folder of NAME.toml.  [default: leaderboards, where it is there]")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR",
              help="Where pages go.  [default: RUNS/boards, or DEFINITIONS/pages]")
@click.option("--pixels/--no-pixels", default=True, show_default=True,
              help="Also build a page of whole images.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 3 if a page in --out is not "
              "what its records give.")
@click.pass_context
def build(context: click.Context, names: tuple[str, ...], runs: Path | None,
          definitions: Path | None, out: Path | None, *, pixels: bool, check: bool) -> None:
    """Choose records and definitions, build or compare."""
    from srbench.boards.build import build_pages
    from srbench.boards.committed import built_beside, differences, take_over

    published = runs is None and (definitions is not None or check
                                  or (not (RUNS / "cells").is_dir() and BOARDS.is_dir()))
    folder = definitions or BOARDS
    runs = runs or RUNS
    jobs, invalid = _published_jobs(folder) if published else _jobs(runs, definitions)
    for broken in invalid:
        output().warn(f"{broken.path} is left out: {broken.reason}")
    jobs = _choose(jobs, names)
    if not jobs:
        output().error(f"no board is defined in {folder}" if published else f"no records in {runs}",
                       "docs/leaderboards.md" if published else
                       "srbench run --methods ots,wgan-gp --dataset w2-early")
        context.exit(ExitCode.NOTHING)
    target = out or (folder / "pages" if published else runs / "boards")

    def build_into(place: Path) -> Path:
        return build_pages(jobs, place, invalid=invalid, pixels=pixels, progress=progress)

    if check:
        with built_beside(target, build_into) as fresh:
            _report(context, target, differences(target, fresh, only=names))
    elif names:  # the front page that is there lists more boards than these
        with built_beside(target, build_into) as fresh:
            only = names if (target / INDEX).exists() else ()
            found = [one for one in differences(target, fresh, only=only)
                     if only or one[0] != "removed"]
            take_over(target, fresh, found)
    else:
        build_into(target)
    if not check:
        output().answer(str(target / (f"{jobs[0].definition.name}.html" if len(jobs) == 1
                                      else INDEX)))


def _published_jobs(folder: Path) -> tuple[list[PageJob], list[Invalid]]:
    """All boards that are defined, each with the records published for it."""
    from srbench.boards.committed import committed_jobs
    from srbench.boards.definition import load_definitions

    return committed_jobs(load_definitions(folder), folder)


def _jobs(runs: Path, definitions: Path | None) -> tuple[list[PageJob], list[Invalid]]:
    """All boards that the records of a runs folder make."""
    from srbench.boards.committed import jobs_of
    from srbench.boards.definition import load_definitions
    from srbench.results.store import Store

    known: list[Definition] = []
    if definitions is not None or BOARDS.is_dir():
        known = load_definitions(definitions or BOARDS)
    records, invalid = Store(runs).records()
    return jobs_of(records, known, runs), invalid


def _choose(jobs: list[PageJob], names: Sequence[str]) -> list[PageJob]:
    """Boards of the given names; raises `UnknownName` with the nearest one."""
    known = {job.definition.name: job for job in jobs}
    for name in names:
        if name not in known:
            raise UnknownName("board", name, known, hint="" if known else
                              "there are no records that make one")
    return [known[name] for name in dict.fromkeys(names)] if names else jobs


def progress(name: str, done: int, total: int) -> None:
    """Say which board is being built."""
    output().note(f"[{done + 1}/{total}] {name}")


def _report(context: click.Context, target: Path, found: Sequence[Difference]) -> None:
    """Say which pages are not what their records give; exit with 3 if any is not."""
    for kind, name in found:
        output().answer(f"{WORDS[kind]}: {target / name}")
    if found:
        output().error(f"{len(found)} files in {target} are not what the records give",
                       "srbench board build with the same options, and delete what is left over")
        context.exit(ExitCode.CELLS)
    output().note(f"all files in {target} are what the records give")


@command.command("open", help="""\b
Examples:
  srbench board open
  srbench board open w2-early@embedded --out leaderboards/pages

Open a built page in the browser and print its path. Without NAME, the front page; pages are looked
for in runs/boards, then in leaderboards/pages.
""")
@click.argument("name", required=False)
@click.option("--runs", type=click.Path(path_type=Path), default=RUNS, metavar="DIR",
              help="Where records are.  [default: runs]")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR",
              help="Where pages were built.")
@click.pass_context
def open_page(context: click.Context, name: str | None, runs: Path, out: Path | None) -> None:
    """Find the page, print its path, open it where there is a display."""
    folders = [out] if out is not None else [runs / "boards", BOARDS / "pages"]
    page = find_page(folders, name)
    if page is None:
        known = sorted({path.stem for folder in folders for path in folder.glob("*.html")})
        if name is not None and known:
            raise UnknownName("page", name, known)
        output().error(f"no page in {' or '.join(map(str, folders))}", "srbench board build")
        context.exit(ExitCode.NOTHING)
    output().answer(str(page))
    if not has_display(os.environ, sys.platform):
        output().note("there is no display: open the file in a browser")
    elif not _opened(webbrowser.open, page):
        output().warn("no browser could be started: open the file yourself")


def find_page(folders: Sequence[Path], name: str | None) -> Path | None:
    """The page of a board, or the front page; of plans' pages the newest where there is no other.

    Raises
    ------
    UsageError
        If the name is not that of a file.
    """
    if name is not None and (printable(name) != name or Path(name).name != name):
        raise UsageError(f"{name!r} cannot be the name of a page",
                         hint="a plain name, as in w2-early@embedded")
    for folder in folders:
        direct = folder / (INDEX if name is None else f"{name}.html")
        if direct.is_file():
            return direct
        pages = [path for path in folder.glob("*.html") if not path.stem.endswith("-pixels")]
        if name is None and len(pages) == 1:
            return pages[0]
        inner = sorted(folder.glob(f"*/{direct.name}" if name else "*/*.html"),
                       key=lambda path: (path.stat().st_mtime_ns, path.name == INDEX))
        if inner:
            return inner[-1]
    return None


def has_display(environment: os._Environ[str] | dict[str, str], platform: str) -> bool:
    """Whether a browser could show anything."""
    return platform in ("darwin", "win32") or any(
        environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def _opened(browser: Callable[[str], bool], page: Path) -> bool:
    try:
        return browser(page.absolute().as_uri())
    except (webbrowser.Error, OSError):
        return False


def _with_common_options() -> None:
    from srbench.cli.shell import common_options

    for verb in command.commands.values():
        verb.params = [*verb.params, *common_options()]


_with_common_options()
