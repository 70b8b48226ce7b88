"""Paths of the user's machine in what is to be published, and how they are left out.

The rule: of an absolute path in any text of a record, or in a command, only its last part stays,
as in ``.../map.pt``; of the release of a kernel, only its numbers. A record without any is
published byte for byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from srbench.errors import UsageError
from srbench.results.record import Record

_END = r"\s'\"`,;:()\[\]{}<>|="  # what ends a path inside a sentence
_QUOTED = r"(?<=['\"])/(?:[^/'\"\n]+/)+[^/'\"\n]*(?=['\"])"  # may hold blanks
_POSIX = rf"(?:file://|(?<![\w./\\~@-]))/(?:[^/{_END}]+/)+[^/{_END}]*"
_WINDOWS = rf"(?<![A-Za-z])[A-Za-z]:[\\/](?:[^\\/{_END}]+[\\/])*[^\\/{_END}]*"
_SHARE = rf"(?<!\\)\\\\(?:[^\\/{_END}]+[\\/])+[^\\/{_END}]*"
LOCAL = re.compile(f"{_QUOTED}|{_POSIX}|{_WINDOWS}|{_SHARE}")
WHOLE = re.compile(r"(?:/|[A-Za-z]:[\\/]|\\\\)[^\\/]+[\\/].*", re.DOTALL)
PLATFORM = ".environment.platform"
# Hosts of clouds and clusters name themselves there: Linux-6.1.2-cluster7-x86_64-with-glibc2.36.
KERNEL = re.compile(r"^(\w+-\d[\d.]*)[^ ]*?-([a-z0-9_]+-with-[\w.]+)$")
SETTINGS = ("method_given", "method_params", "dataset_given", "dataset_params")
HELD = ("artefacts",)  # paths inside the cell's folder, which the schema keeps relative


def clean_record(record: Record) -> tuple[Record, tuple[str, ...]]:
    """Cut the absolute paths in a record's texts.

    Returns
    -------
    record : Record
        The same object where nothing was cut.
    fields : tuple of str
        Where something was, as in ``identity.method_params.pretrained``.
    """
    fields: list[str] = []

    def walk(value: Any, where: str, *, setting: bool) -> Any:
        if isinstance(value, dict):
            return {name: walk(inner, f"{where}.{name}", setting=setting or name in SETTINGS)
                    for name, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner, where, setting=setting) for inner in value]
        if not isinstance(value, str):
            return value
        if where == PLATFORM:
            cut = KERNEL.sub(r"\1-\2", value)
            if cut != value:
                fields.append(where.removeprefix("."))
            return cut
        cut = _last(value) if setting and WHOLE.fullmatch(value) else clean_text(value)
        if cut != value:
            fields.append(where.removeprefix("."))
        return cut

    data = record.model_dump(mode="json")
    walked = {name: part if name in HELD else walk(part, f".{name}", setting=False)
              for name, part in data.items()}
    if not fields:
        return record, ()
    return Record.model_validate_json(json.dumps(walked)), tuple(dict.fromkeys(fields))


def clean_text(text: str, folders: Callable[[], Iterable[str]] | None = None) -> str:
    """Cut the absolute paths in a text.

    Parameters
    ----------
    text : str
        A sentence, a line of a log, a command.
    folders : callable, optional
        Folders known to be the user's, whose names may hold blanks; home and the current one by
        default.

    Examples
    --------
    >>> clean_text("cannot read /home/me/data/a.png: see https://example.org/a/b")
    'cannot read .../a.png: see https://example.org/a/b'
    """
    if "/" not in text and "\\" not in text:
        return text
    for folder in (folders or _own_folders)():
        if re.search(rf"[{_END}]", folder):
            text = text.replace(folder, "/user/folder")
    return LOCAL.sub(lambda found: _last(found[0]), text)


def refuse_merged(pairs: Iterable[tuple[Record, Record]]) -> None:
    """Refuse records whose labels or titles differed only in what was cut.

    Parameters
    ----------
    pairs : iterable of (Record, Record)
        Before and after `clean_record`.

    Raises
    ------
    UsageError
        With both labels and the remedy.
    """
    known: dict[tuple[str, str], tuple[str, str]] = {}
    for before, after in pairs:
        shown = after.identity.title, after.identity.label
        full = before.identity.title, before.identity.label
        other = known.setdefault(shown, full)
        if other != full:
            raise UsageError(
                f"{' on '.join(reversed(other))} and {' on '.join(reversed(full))} would both be "
                f"published as {' on '.join(reversed(shown))}",
                hint="give the files different names and run one of them again")


def _last(path: str) -> str:
    """``.../name``: the last part of a path."""
    parts = re.split(r"[\\/]+", path.rstrip("\\/"))
    return f".../{parts[-1]}"


def _own_folders() -> list[str]:
    return sorted({str(Path.home()), str(Path.cwd())}, key=len, reverse=True)
