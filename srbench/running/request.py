"""From options, of the command line or of Python, to a `srbench.plan.Request`."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from srbench.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from srbench.plan import Request

CONFIG_KEYS = ("methods", "dataset", "seeds", "preset", "set", "precision", "device", "budget",
               "metrics", "runs", "jobs", "timeout", "threads", "plugin", "gpus-per-cell", "memory",
               "gpu-memory", "rank-timeout", "checkpoint-every", "executor", "address", "slurm",
               "track")
NUMBERS = ("timeout", "rank-timeout", "checkpoint-every", "memory", "gpu-memory")
COUNTS = ("jobs", "threads", "gpus-per-cell")
PRESETS = ("quick", "paper", "code")
PRECISIONS = ("fp32", "bf16")
SEEDS = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")
LISTS = ("methods", "dataset", "plugin", "set", "slurm", "seeds", "metrics", "track")
MOST_SEEDS = 100_000
WORDS = ("preset", "precision", "device", "budget", "runs", "executor", "address")
THREADS = {"cpu": 1, "cuda": 4}
"""Threads of a cell by default: the same on every machine, since they decide its last digits."""


def check_kind(where: str, key: str, value: Any) -> None:
    """Refuse a value of a TOML file or of Python that the command line would refuse.

    Parameters
    ----------
    where : str
        Where the value stands, for the error.
    key : str
        Option, as the command line spells it.
    value
        Anything.

    Raises
    ------
    UsageError
        If it is of the wrong kind.
    """
    if key == "set" and isinstance(value, dict):
        for name, table in value.items():
            if not isinstance(table, dict):
                raise UsageError(f"{where}: set.{name} = {table!r} must be a table of settings",
                                 hint=f"[set.{name}] above the settings of {name}")
    elif key in LISTS:
        items = value if isinstance(value, list) else [value]
        whole = (str, int) if key == "seeds" else (str,)
        if not all(type(item) in whole for item in items):
            raise UsageError(f"{where}: {key} = {value!r} must be a text in quotes, or several "
                             "in brackets")
    if key in WORDS and not isinstance(value, str):
        raise UsageError(f"{where}: {key} = {value!r} must be a text in quotes")
    if key in COUNTS and (type(value) is not int or value < 1):
        raise UsageError(f"{where}: {key} = {value!r} must be a whole number of at least 1")
    if key in NUMBERS and (type(value) not in (int, float) or not 0 < value < math.inf):
        raise UsageError(f"{where}: {key} = {value!r} must be a number above 0")


def typed(key: str, value: Any) -> Any:
    """Value of a TOML file or of Python -> what the command line would have given."""
    from srbench.spec import format_value

    if key == "set" and isinstance(value, dict):
        return [f"{name}.{inner}={format_value(item)}" for name, table in value.items()
                for inner, item in table.items()]
    if key in ("seeds", "metrics") and isinstance(value, list):
        return ",".join(str(item) for item in value)
    if key in ("methods", "dataset", "plugin", "set", "slurm", "track"):
        return [str(item) for item in value] if isinstance(value, list) else [str(value)]
    return value


def make_request(given: dict[str, Any]) -> Request:
    """Turn merged options into a `srbench.plan.Request`.

    Raises
    ------
    UsageError
        If methods or dataset are missing or a value is not acceptable.
    """
    from srbench.plan import Request
    from srbench.spec import parse_settings, parse_specs, split_list
    from srbench.training.budget import Budget

    for option in ("methods", "dataset"):
        if not given[option]:
            raise UsageError(f"--{option} is missing", hint=f"srbench list {option.rstrip('s')}s")
    precision = given["precision"] or "fp32"
    if precision not in PRECISIONS:
        raise UnknownName("precision", precision, PRECISIONS)
    preset = given["preset"] or "quick"
    if preset not in PRESETS:
        raise UnknownName("preset", preset, PRESETS)
    if given["budget"]:
        Budget.parse(str(given["budget"]))
    device, every = _device_of_cells(given), given.get("checkpoint_every")
    return Request(
        methods=parse_specs(given["methods"]), datasets=parse_specs(given["dataset"]),
        seeds=parse_seeds(str(given["seeds"] if given["seeds"] is not None else "0")),
        preset=preset, precision=precision, device=device,
        threads=int(given["threads"] or THREADS.get(device.partition(":")[0], 1)),
        ranks=int(given.get("gpus_per_cell") or 1), memory_gib=float(given.get("memory") or 0),
        gpu_memory_gib=float(given.get("gpu_memory") or 0),
        checkpoint_seconds=60.0 if every is None else float(every),
        budget=str(given["budget"] or ""), settings=parse_settings(given["set"]),
        metrics=split_list(given["metrics"]) if given["metrics"] else [])


def parse_seeds(text: str) -> list[int]:
    """``"0,1,2"`` or ``"0-4"`` -> seeds.

    Raises
    ------
    UsageError
        If a part is not a whole number of at least 0.
    """
    seeds: list[int] = []
    for part in text.split(","):
        found = SEEDS.fullmatch(part.strip())
        span = found and range(int(found[1]), int(found[2] or found[1]) + 1)
        if not span:
            raise UsageError(f"--seeds {text}: {part.strip()!r} is not a seed",
                             hint="--seeds 0,1,2 or --seeds 0-4")
        if len(span) + len(seeds) > MOST_SEEDS:
            raise UsageError(f"--seeds {text}: these are more than {MOST_SEEDS:,}")
        seeds += span
    return list(dict.fromkeys(seeds))


def _device_of_cells(given: dict[str, Any]) -> str:
    """Device of the cells; whether a cluster's nodes have a GPU cannot be seen from here."""
    elsewhere = (given.get("executor") or "local") != "local"
    return "cuda" if elsewhere and given["device"] == "cuda" else choose_device(given["device"])


def choose_device(name: str | None) -> str:
    """The device asked for, or the GPU if there is one.

    Raises
    ------
    UsageError
        If the device is unknown or absent.
    """
    import torch

    if not name:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name}: not a device", hint="cpu, cuda or cuda:1") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: this machine has {torch.cuda.device_count()} CUDA "
                         "devices", hint="--device cpu")
    return name
