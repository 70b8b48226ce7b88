"""From the bytes of a record file to a `Record`, whatever its schema version."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from srbench.errors import StoreError
from srbench.foreign.paths import read_capped
from srbench.foreign.strict_json import parse
from srbench.results.record import SCHEMA_VERSION, Record

LARGEST = 16 * 2**20  # bytes of a record or plan; a usual record has some thousands
Migration = Callable[[dict[str, Any]], dict[str, Any]]

MIGRATIONS: Mapping[int, Migration] = {}
"""Version -> pure function that turns a record's JSON data into that of the next version."""


class NewerSchema(StoreError):
    """A record written by a newer srbench."""


def load(path: Path) -> Record:
    """Read one record file.

    Raises
    ------
    NewerSchema
        If a newer srbench wrote it.
    StoreError
        If it cannot be read, is not JSON or does not follow the schema.
    """
    data = migrate(json_object(path, constants=False))
    try:
        return Record.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise StoreError(_sentence(error), hint=f"delete {path} and run the cell again") from error


def migrate(data: dict[str, Any], *, target: int = SCHEMA_VERSION,
            migrations: Mapping[int, Migration] = MIGRATIONS) -> dict[str, Any]:
    """Bring a record's JSON data to the schema version ``target``, one version after the other.

    Raises
    ------
    NewerSchema
        If its version is above ``target``.
    StoreError
        If it has no version, or one that no migration starts from.
    """
    version = data.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise StoreError(f"schema_version is {version!r}, not a number")
    if version > target:
        raise NewerSchema(f"schema version {version} is newer than {target}, the one this srbench "
                          "reads", hint="pip install --upgrade srbench")
    for step in range(version, target):
        if step not in migrations:
            raise StoreError(f"schema version {step} cannot be migrated to {step + 1}")
        data = {**migrations[step](data), "schema_version": step + 1}
    return data


def json_object(path: Path, *, constants: bool = True) -> dict[str, Any]:
    """Read a file that holds one JSON object; raises `StoreError` where it does not.

    At most `LARGEST` bytes of a regular file that is no link are read. NaN and infinity, which a
    ``cell.json`` may hold, are refused without ``constants``; a key that occurs twice always is.
    """
    hint = f"delete {path} and run again"
    try:
        data = parse(read_capped(path, LARGEST), constants=constants)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}", hint=hint) from error
    except StoreError as error:
        raise StoreError(error.message, hint=hint) from error
    except ValueError as error:
        raise StoreError(f"{path.name} is not JSON: {error}", hint=hint) from error
    if not isinstance(data, dict):
        raise StoreError(f"{path.name} is not a JSON object", hint=hint)
    return data


def _sentence(error: ValidationError) -> str:
    """Where the record breaks the schema first, and how often."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the record"
    more = error.error_count() - 1
    return f"{where}: {first['msg']}" + (f" (and {more} more)" if more else "")
