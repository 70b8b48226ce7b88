"""``srbench info NAME``: what a name stands for, its parameters and how to use it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli.console import output
from srbench.cli.options import complete_names, json_option, plugin_option
from srbench.errors import SrbenchError, UnknownName

if TYPE_CHECKING:
    from srbench.registry.catalog import Catalog, Entry
    from srbench.registry.tracker import Tracker

FACTS = ("summary", "paper", "url", "licence", "plugin", "load", "fixed", "sweep", "direction",
         "unit", "protocol", "mode", "needs_map", "image_only", "events", "usage", "citation")


@click.command(help="""\b
Examples:
  srbench info wgan-gp
  srbench info w2-early --json

Describe a method, dataset, metric or tracker: paper, licence, what to cite, its parameters with
types, defaults, bounds and the values of each preset, and a command that uses it.
""")
@click.argument("name", shell_complete=complete_names)
@plugin_option
@json_option
def command(name: str, plugins: tuple[Path, ...], *, as_json: bool) -> int:
    """Describe one name."""
    from srbench.registry.catalog import discover

    catalog = discover(plugins)
    tracker = catalog.trackers.get(name)
    cards = [] if tracker is None else [describe_tracker(tracker)]
    if not cards or any(entry.info.name == name for _, entry in catalog.entries()):
        cards += [describe(kind, entry) for kind, entry in find(catalog, name)]
    if as_json:
        output().document(cards[0] if len(cards) == 1 else cards)
    else:
        for card in cards:
            _show(card)
    failures = [card["unavailable"] for card in cards if card["unavailable"]]
    for failure in failures:
        output().error(failure["error"], failure["hint"])
    return failures[0]["exit_code"] if failures else 0


def find(catalog: Catalog, name: str) -> list[tuple[str, Entry]]:
    """Every entry of that name; a method and a dataset may share one.

    Raises
    ------
    UnknownName
        If there is none.
    PluginError
        If it comes from a broken plugin.
    """
    found = [(kind, entry) for kind, entry in catalog.entries() if entry.info.name == name]
    if not found:
        catalog.refuse_broken(name)
        names = [*catalog.trackers, *(entry.info.name for _, entry in catalog.entries())]
        raise UnknownName("method, dataset, metric or tracker", name, names, hint="srbench list")
    return found


def describe(kind: str, entry: Entry) -> dict[str, Any]:
    """All facts about one entry as JSON data; imports its implementation."""
    info = entry.info
    card: dict[str, Any] = {
        "kind": kind, "name": info.name, "summary": info.summary, "paper": info.paper,
        "url": info.url, "licence": info.licence, "citation": info.citation,
        "plugin": f"{entry.origin} {entry.version}".strip(), "load": info.load,
        "fixed": dict(getattr(info, "fixed", {})),
        "sweep": {key: list(values) for key, values in getattr(info, "sweep", {}).items()},
        "direction": getattr(info, "direction", ""), "unit": getattr(info, "unit", ""),
        "usage": usage(kind, info.name), "parameters": [], "presets": [], "unavailable": None}
    try:
        implementation = entry.load()
    except SrbenchError as error:
        card["unavailable"] = {"error": error.message, "hint": error.hint,
                               "exit_code": int(error.exit_code)}
        return card
    if kind == "metric":
        return {**card, "protocol": implementation.protocol, "mode": implementation.mode,
                "needs_map": implementation.needs_map, "image_only": implementation.image_only}
    from srbench.cli.parameters import parameter_rows

    return {**card, "parameters": parameter_rows(implementation.Params),
            "presets": list(implementation.Params.presets)}


def describe_tracker(tracker: Tracker) -> dict[str, Any]:
    """All facts about a tracker as JSON data."""
    return {"kind": "tracker", "name": tracker.name, "summary": tracker.summary,
            "plugin": f"{tracker.origin} {tracker.version}".strip(),
            "events": list(tracker.events), "parameters": [], "unavailable": None,
            "usage": f"srbench run --methods METHOD --dataset DATASET --track {tracker.name}"}


def usage(kind: str, name: str) -> str:
    """Return a command that uses the name."""
    return {"method": f"srbench run --methods {name} --dataset DATASET",
            "dataset": f"srbench run --methods METHOD --dataset {name}",
            "metric": f"srbench run --methods METHOD --dataset DATASET --metrics {name}"}[kind]


def _show(card: dict[str, Any]) -> None:
    """Print a card as text."""
    shell = output()
    shell.heading(f"{card['name']} ({card['kind']})")
    for key in FACTS:
        if card.get(key) not in (None, "", {}):
            lines = _text(card[key]).splitlines()
            shell.answer(f"{key.replace('_', ' '):10}  {lines[0]}")
            for line in lines[1:]:
                shell.answer(f"{'':10}  {line}")
    if card["parameters"]:
        shell.answer()
        _show_parameters(card)
    shell.answer()


def _show_parameters(card: dict[str, Any]) -> None:
    """Print the table of parameters, one column for each preset."""
    rows = []
    for row in card["parameters"]:
        fixed = row["name"] in card["fixed"]
        rows.append((row["name"], row["type"],
                     f"{_text(card['fixed'][row['name']])} (fixed)" if fixed
                     else _text(row["default"]) if not row["required"] else "required",
                     row["bounds"],
                     *(_text(row["presets"][p]) if p in row["presets"] else ""
                       for p in card["presets"]), row["description"]))
    output().table(("parameter", "type", "default", "bounds", *card["presets"], "meaning"), rows)


def _text(value: object) -> str:
    """Write a value on one line, words for None and truth as in specs."""
    from srbench.errors import SpecError
    from srbench.spec import format_value

    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):
        return ", ".join(f"{key}={_text(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_text(item) for item in value)}]"
    try:
        return format_value(value)
    except SpecError:
        return str(value)
