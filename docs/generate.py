"""Write the pages that are made from code: docs/cli.md, docs/records.md, docs/record.schema.json.

::

    python docs/generate.py            # write them
    python docs/generate.py --check    # exit code 3 if one is not what the code says
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from srbench.cli.shell import VERBS, cli
from srbench.results.record import SCHEMA_VERSION, Record

DOCS = Path(__file__).resolve().parent
WIDTH = 90  # columns of the help texts, whatever the terminal
SCHEMA = "record.schema.json"
HEAD = "<!-- Made by python docs/generate.py: edit that, or the code it reads. -->\n"

CLI_INTRO = """
# Command line

What `srbench VERB --help` says. Every command also takes `-v`, `-vv`, `-q` and `--color`, before or
after its name. The answer is on stdout, everything else on stderr.

| exit code | |
|---|---|
| 0 | all ok |
| 1 | something outside the cells failed, or a bug in srbench |
| 2 | a wrong word on the command line |
| 3 | finished, but something is not ok: a cell, a check, a plugin |
| 4 | nothing matched |
| 130 | interrupted; what was finished is safe |
"""

RECORDS_INTRO = f"""
# Records

A cell leaves `record.json` in `runs/cells/<key>/`, however it ends, and files beside it. The record is
JSON of schema version {SCHEMA_VERSION}: [{SCHEMA}]({SCHEMA}). Unknown keys are errors; times are UTC in
ISO 8601; a number that is not finite is null, and a flag says so. How records of others are read:
[security](security.md#records).

Where no other version is named, a field is there since schema 1. A field marked *optional* may be
missing from a file, and then has the value given.
"""

FILES = """
## Files beside the record

| file | | listed in `artefacts` |
|---|---|---|
| `cell.json` | what was to run: every part of the identity, the metrics, the budget | no |
| `history.parquet` | a row for each logged value, see below | yes |
| `per_image.parquet` | a column (float64) for each metric that is a mean over test images, named by the metric, a row for each image in test order | yes |
| `palettes.parquet` | colours at the same places of LR, prediction and HR images, see below | yes |
| `images/<kind>_<n>.png` | twelve test images at most, 8-bit RGB; kind is `lr`, `prediction` or `hr` | yes |
| `checkpoint/<n>/` | the last two checkpoints: `tensors.safetensors`, `state.json`, and `manifest.json` with the SHA-256 of both, written last | yes |
| `scalars.jsonl` | only of a run with `--track`: what trackers read, one event in each line, in the order of the training | no |
| `log.txt` | what the cell printed, within bounds | no |
| `live.json` | what it is doing now; never trusted over the record | no |
| `work/` | its working directory, if a plugin left files there | no |

Two records may be compared where `identity.title`, `identity.preset`, the metric's `protocol` and
`origin.dataset_fingerprint` agree; boards refuse to mix what does not.

"""


def cli_page() -> str:
    """The page of all commands."""
    parts = [HEAD, CLI_INTRO, _help("srbench", cli)]
    context = click.Context(cli, info_name="srbench")
    for verb in VERBS:
        command = cli.get_command(context, verb)
        assert command is not None
        parts += [_help(name, inner) for name, inner in _with_children(f"srbench {verb}", command)]
    return "".join(parts)


def _with_children(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command and the commands inside it."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for inner in command.list_commands(context):
            child = command.get_command(context, inner)
            assert child is not None
            yield from _with_children(f"{name} {inner}", child)


def _help(name: str, command: click.Command) -> str:
    """A heading and the text of ``--help``."""
    context = click.Context(command, info_name=name, terminal_width=WIDTH,
                            max_content_width=WIDTH, color=False,
                            help_option_names=["-h", "--help"])
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    level = "##" if name.count(" ") <= 1 else "###"
    return f"\n{level} {name}\n\n```text\n{text}\n```\n"


def schema() -> dict[str, Any]:
    """The record's JSON Schema."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema",
            **Record.model_json_schema(mode="validation")}


def records_page() -> str:
    """The page of the record and the files beside it."""
    whole = schema()
    parts = [HEAD, RECORDS_INTRO, "\n## record.json\n", _fields(whole)]
    groups = list(whole["$defs"].items())
    order = {name: place for place, name in enumerate(_reached(whole, whole["$defs"]))}
    for name, group in sorted(groups, key=lambda item: order[item[0]]):
        parts.append(f"\n## {name}\n\n{_sentence(group['description'])}\n")
        if "enum" in group:
            parts.append(f"\nOne of {', '.join(f'`{value}`' for value in group['enum'])}: see "
                         f"[how a cell can end](running.md#how-a-cell-can-end).\n")
        else:
            parts.append(_fields(group))
    return "".join([*parts, FILES, _columns()])


def _reached(part: dict[str, Any], groups: dict[str, Any]) -> Iterator[str]:
    """Names of groups in the order a reader of the record meets them."""
    for prop in part.get("properties", {}).values():
        for name in groups:
            if f'"#/$defs/{name}"' in json.dumps(prop):
                yield name
                yield from _reached(groups[name], groups)


def _fields(group: dict[str, Any]) -> str:
    """The table of a group's fields."""
    rows = ["\n| field | type | |\n|---|---|---|\n"]
    required = set(group.get("required", ()))
    for name, prop in group["properties"].items():
        if "description" not in prop:
            raise SystemExit(f"srbench/results/record.py: {name} has no description")
        text = prop["description"]
        if name not in required and "default" in prop:
            text += f"; *optional*, `{json.dumps(prop['default'])}`"
        elif name not in required:
            text += "; *optional*, empty"
        if "since" in prop:
            text += f"; since schema {prop['since']}"
        rows.append(f"| `{name}` | {_type(prop)} | {text} |\n".replace("{", "&#123;"))
    return "".join(rows)


def _type(prop: dict[str, Any]) -> str:
    """A property's type in words, groups as links."""
    if "$ref" in prop:
        name = prop["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in prop:
        return " or ".join(_type(choice) for choice in prop["anyOf"])
    if "const" in prop:
        return f"`{json.dumps(prop['const'])}`"
    if "enum" in prop:
        return ", ".join(f"`{value}`" for value in prop["enum"])
    kind = str(prop.get("type", "any"))
    if kind == "array":
        return f"list of {_type(prop['items'])}"
    if kind == "object":
        inner = prop.get("additionalProperties")
        return f"object of {_type(inner)}" if isinstance(inner, dict) and inner else "object"
    return kind


def _sentence(text: str) -> str:
    return " ".join(text.split())


def _columns() -> str:
    """Columns of the tables beside the record, with the types the code gives them."""
    from srbench.training.history import TYPES

    what = {"stage": "name of the training stage", "step": "finished steps of the stage",
            "seconds": "of training, over all stages", "images": "LR and HR samples drawn so far",
            "calls": "samples passed through networks so far",
            "name": "what was logged; `validation/<metric>` for validations",
            "value": "mean over the steps since its last row"}
    rows = "".join(f"| `{name}` | {kind} | {what[name]} |\n" for name, kind in TYPES.items())
    return (f"### history.parquet\n\n| column | type | |\n|---|---|---|\n{rows}\n"
            "### palettes.parquet\n\n| column | type | |\n|---|---|---|\n"
            "| `kind` | str | `lr`, `prediction` or `hr`; the n-th rows of the three belong "
            "together |\n| `r`, `g`, `b` | float32 | in [0, 1], not clamped |\n")


def pages() -> dict[Path, str]:
    """Text of each generated file."""
    return {DOCS / "cli.md": cli_page(), DOCS / "records.md": records_page(),
            DOCS / SCHEMA: json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"}


def main(words: list[str]) -> int:
    """Write the files, or compare them with what would be written."""
    stale = [path for path, text in pages().items()
             if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if words == ["--check"]:
        for path in stale:
            print(f"{path.name} is not what the code says: python docs/generate.py")
        return 3 if stale else 0
    for path in stale:
        path.write_text(pages()[path], encoding="utf-8")
        print(path.name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
