"""``srbench list``: what is installed; plugins that cannot be used last, with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli.console import output
from srbench.cli.options import json_option, plugin_option

if TYPE_CHECKING:
    from srbench.registry.catalog import Catalog, Entry
    from srbench.registry.tracker import Tracker

KINDS = ("methods", "datasets", "metrics", "trackers", "plugins")
SHOWN = KINDS[:-1]


@click.command(help="""\b
Examples:
  srbench list
  srbench list methods --json

List installed methods, datasets, metrics, trackers and plugins. Plugins that cannot be used come
last, with the reason.
""")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@plugin_option
@json_option
def command(kind: str | None, plugins: tuple[Path, ...], *, as_json: bool) -> None:
    """List what is installed."""
    from srbench.registry.catalog import discover

    catalog = discover(plugins)
    found = contents(catalog)
    wanted = [kind] if kind else SHOWN
    if as_json:
        output().document({**{name: found[name] for name in wanted}, "broken": found["broken"]})
        return
    for name in wanted:
        _section(name, found[name])
    _section("broken", found["broken"])


def contents(catalog: Catalog) -> dict[str, list[dict[str, Any]]]:
    """Everything in a catalog as JSON data, by kind."""
    found: dict[str, list[dict[str, Any]]] = {
        "methods": [_row(entry, sweep={key: list(values) for key, values in
                                       entry.info.sweep.items()})
                    for entry in catalog.methods.values()],
        "datasets": [_row(entry, fixed=dict(entry.info.fixed))
                     for entry in catalog.datasets.values()],
        "metrics": [_row(entry, title=entry.info.title, unit=entry.info.unit,
                         direction=entry.info.direction) for entry in catalog.metrics.values()],
        "trackers": [{"name": tracker.name, "summary": tracker.summary, "plugin": tracker.plugin,
                      "distribution": tracker.distribution, "version": tracker.version,
                      "events": list(tracker.events)} for tracker in catalog.trackers.values()],
        "broken": [{"plugin": plugin.plugin, "distribution": plugin.distribution,
                    "reason": plugin.reason} for plugin in catalog.broken],
    }
    return {**found, "plugins": _plugins(catalog)}


def _row(entry: Entry, **more: object) -> dict[str, Any]:
    """Facts common to all kinds, and those of one."""
    return {"name": entry.info.name, "summary": entry.info.summary, "plugin": entry.plugin,
            "distribution": entry.distribution, "version": entry.version, **more}


def _plugins(catalog: Catalog) -> list[dict[str, Any]]:
    """Plugins in use and the names each provides."""
    plugins: dict[str, dict[str, Any]] = {}
    provided: list[tuple[str, str, Entry | Tracker]] = [
        (kind, entry.info.name, entry) for kind, entry in catalog.entries()]
    provided += [("tracker", tracker.name, tracker) for tracker in catalog.trackers.values()]
    for kind, name, found in provided:
        plugin = plugins.setdefault(found.origin, {
            "plugin": found.plugin, "distribution": found.distribution, "version": found.version,
            **{shown: [] for shown in SHOWN}})
        plugin[f"{kind}s"].append(name)
    return list(plugins.values())


def _section(kind: str, rows: list[dict[str, Any]]) -> None:
    """Print one kind as a table; nothing broken prints nothing."""
    if kind == "broken" and not rows:
        return
    shell = output()
    shell.heading("broken plugins" if kind == "broken" else kind)
    if not rows:
        shell.answer("none")
    elif kind == "broken":
        shell.table(("plugin", "reason"), [(f"{row['distribution']}:{row['plugin']}",
                                            row["reason"]) for row in rows])
    elif kind == "plugins":
        shell.table(("plugin", "version", "provides"), [_plugin_cells(row) for row in rows])
    else:
        shell.table(("name", "summary", "plugin"), [
            (row["name"], row["summary"],
             f"{row['distribution']}:{row['plugin']} {row['version']}") for row in rows])
    shell.answer()


def _plugin_cells(row: dict[str, Any]) -> tuple[str, str, str]:
    """Text of one plugin."""
    provides = [f"{kind} {', '.join(row[kind])}" for kind in SHOWN if row[kind]]
    return f"{row['distribution']}:{row['plugin']}", row["version"], "; ".join(provides)
