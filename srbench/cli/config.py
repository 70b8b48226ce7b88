"""Options of ``srbench run`` from a TOML file."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

from srbench.errors import StoreError, UnknownName, UsageError
from srbench.foreign.paths import read_capped
from srbench.running.request import CONFIG_KEYS, NUMBERS, check_kind, typed

LARGEST = 2**20  # bytes of the file of --config


def merge_config(options: dict[str, Any]) -> dict[str, Any]:
    """Fill options the user left out from the TOML file of ``--config``.

    Raises
    ------
    UsageError
        If the file cannot be read or a value is of the wrong kind.
    UnknownName
        If it holds an unknown key.
    """
    given = {**options, "set": list(options["settings"])}
    for key in NUMBERS:
        number = given.get(key.replace("-", "_"))
        if number is not None and not math.isfinite(number):
            raise UsageError(f"--{key} {number} is no number of that kind",
                             hint=f"leave --{key} out, or give a finite number")
    path: Path | None = options["config"]
    if path is None:
        return given
    for key, value in _read_toml(path).items():
        if key not in CONFIG_KEYS:
            raise UnknownName(f"option in {path}", key, CONFIG_KEYS)
        check_kind(str(path), key, value)
        name = key.replace("-", "_")
        if not given.get(name):
            given[name] = typed(key, value)
    return given


def _read_toml(path: Path) -> dict[str, Any]:
    """Read the file of ``--config``; a key that occurs twice is an error of TOML."""
    try:
        content = read_capped(path.resolve(), LARGEST)
        return tomllib.loads(content.decode("utf-8"))
    except StoreError as error:
        raise UsageError(f"cannot read --config {path}: {error.message}") from error
    except OSError as error:
        raise UsageError(f"cannot read --config {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        why = "it nests too deep" if isinstance(error, RecursionError) else error
        raise UsageError(f"--config {path} is not valid TOML: {why}") from error
