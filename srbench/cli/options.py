"""Options and completions that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

FunctionT = TypeVar("FunctionT", bound="Callable[..., Any]")


def plugin_option(function: FunctionT) -> FunctionT:
    """Add ``--plugin PATH``, repeatable, as the argument ``plugins``."""
    return click.option(
        "--plugin", "plugins", multiple=True, type=click.Path(path_type=Path), metavar="PATH",
        help="Also load a plugin from a Python file or a package's folder.")(function)


def json_option(function: FunctionT) -> FunctionT:
    """Add ``--json`` as the argument ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document.")(function)


def complete_names(context: click.Context, parameter: click.Parameter,
                   incomplete: str) -> list[CompletionItem]:
    """Complete names of methods, datasets, metrics and trackers."""
    from click.shell_completion import CompletionItem

    from srbench.registry.catalog import discover

    catalog = discover()
    known = [(entry.info.name, kind, entry.info.summary) for kind, entry in catalog.entries()]
    known += [(name, "tracker", one.summary) for name, one in catalog.trackers.items()]
    return [CompletionItem(name, help=f"{kind}: {summary}") for name, kind, summary in known
            if name.startswith(incomplete)]
