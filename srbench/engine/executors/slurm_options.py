"""From ``--slurm KEY=VALUE`` and what a cell needs to the parameters submitit takes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from srbench.errors import UnknownName, UsageError
from srbench.plan import Cell

CLUSTERS = ("slurm", "local", "debug")
LIMIT = 240
"""Minutes of a job by default: most partitions allow them, and a longer cell is requeued."""

MARGIN = 10  # minutes a job gets beyond --timeout, to start and to write its record
SIGNAL_DELAY = 120  # seconds before the limit at which a job is told to write its checkpoint

NUMBERS = ("cpus_per_task", "gpus_per_node", "gpus_per_task", "cpus_per_gpu", "signal_delay_s",
           "nice", "priority")
TEXTS = ("partition", "account", "qos", "constraint", "gres", "mem", "mem_per_gpu", "mem_per_cpu",
         "exclude", "nodelist", "comment", "mail_type", "mail_user", "dependency", "wckey",
         "job_name", "reservation", "licenses", "begin", "clusters", "cluster_constraint",
         "cores_per_socket", "deadline", "export", "gpu_bind", "gpu_freq", "gpus", "hint", "tmp",
         "cpu_freq", "time_min", "container", "chdir", "tres_per_task", "prefer", "switches")
LISTS = ("setup", "teardown", "srun_args")
FLAGS = ("exclusive", "stderr_to_stdout", "overcommit", "spread_job", "contiguous")
SUBMITIT = {"partition", "qos", "account", "constraint", "gres", "mem", "mem_per_gpu",
            "mem_per_cpu", "exclude", "nodelist", "comment", "mail_type", "mail_user",
            "dependency", "wckey", "job_name", "exclusive", "stderr_to_stdout", "cpus_per_task",
            "gpus_per_node", "gpus_per_task", "cpus_per_gpu", "signal_delay_s", *LISTS}
"""What submitit knows by name; the rest it passes on to sbatch."""

OURS = {
    "array": "every cell is a job of its own", "nodes": "a cell runs on one node",
    "ntasks": "a cell is one task", "ntasks_per_node": "a cell is one task",
    "tasks_per_node": "a cell is one task", "signal": "use signal_delay_s=SECONDS",
    "output": "a cell's log lies in its folder", "error": "a cell's log lies in its folder",
    "requeue": "jobs are requeued, to go on from their checkpoint", "no_requeue":
    "jobs are requeued, to go on from their checkpoint", "wait": "srbench waits by itself",
    "use_srun": "signals reach a job's steps only", "array_parallelism": "use --jobs N",
    "open_mode": "logs are appended to"}
OTHER_NAMES = {"timeout_min": "time", "mem_gb": "memory", "name": "job_name"}
_DAYS = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")


@dataclass(frozen=True)
class SlurmOptions:
    """Options of ``--slurm``, checked.

    Attributes
    ----------
    cluster : str
        ``slurm``, or submitit's ``local`` and ``debug`` for trying things out without Slurm.
    time : int or None
        Minutes of each job.
    values : mapping
        The others, by submitit's or sbatch's name with underscores.
    """

    cluster: str = "slurm"
    time: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, options: Sequence[str]) -> SlurmOptions:
        """Read the words of the user.

        Raises
        ------
        UsageError
            If one is no ``KEY=VALUE``, its value is of the wrong kind, or it is not the user's.
        UnknownName
            If there is no such option.
        """
        cluster, time = "slurm", None
        values: dict[str, Any] = {}
        for option in options:
            key, equals, text = option.partition("=")
            key = key.strip().lstrip("-").replace("-", "_").removeprefix("slurm_")
            key, text = OTHER_NAMES.get(key, key), text.strip()
            if not equals or not text:
                raise UsageError(f"--slurm {option}: no KEY=VALUE", hint="--slurm partition=gpu")
            if key == "cluster":
                if text not in CLUSTERS:
                    raise UnknownName("cluster", text, CLUSTERS)
                cluster = text
            elif key == "time":
                time = minutes(text)
            elif key == "memory":
                values["mem"] = _gibibytes(option, text)
            elif key in LISTS:
                values.setdefault(key, []).append(text)
            else:
                values[key] = _value(option, key, text)
        return cls(cluster, time, values)


def minutes(text: str) -> int:
    """Minutes that ``600``, ``4:00:00`` or ``1-12:00`` stand for, as Slurm reads them.

    Raises
    ------
    UsageError
        If it is none of these.
    """
    found = _DAYS.fullmatch(text)
    if found is None:
        raise UsageError(f"--slurm time={text}: no time", hint="minutes, or [DAYS-]HH:MM:SS")
    days, *parts = (int(part) if part else None for part in found.groups())
    first, second, third = parts
    if days is not None:  # D-HH[:MM[:SS]]
        total = days * 1440 + (first or 0) * 60 + (second or 0) + (third or 0) / 60
    elif third is not None:  # HH:MM:SS
        total = (first or 0) * 60 + (second or 0) + third / 60
    else:  # MM[:SS]
        total = (first or 0) + (second or 0) / 60
    if total < 1:
        raise UsageError(f"--slurm time={text}: a job needs a minute at least")
    return math.ceil(total)


def _gibibytes(option: str, text: str) -> str:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise UsageError(f"--slurm {option}: the value must be a number of GiB above 0")
    return f"{math.ceil(value * 1024)}M"


def _value(option: str, key: str, text: str) -> Any:
    """Value of an option that takes one word."""
    if key in OURS:
        raise UsageError(f"--slurm {option}: {key} is not to be set: {OURS[key]}")
    if key in NUMBERS:
        if not text.lstrip("-").isdecimal():
            raise UsageError(f"--slurm {option}: {key} must be a whole number")
        return int(text)
    if key in FLAGS:
        if text.lower() not in ("true", "yes", "1") and key != "exclusive":
            raise UsageError(f"--slurm {option}: {key} is a flag: {key}=true")
        return True if text.lower() in ("true", "yes", "1") else text
    if key not in TEXTS:
        known = {"cluster", "time", *OTHER_NAMES, *NUMBERS, *TEXTS, *LISTS, *FLAGS}
        raise UnknownName("Slurm option", key, known)
    return text


def parameters(cell: Cell, options: SlurmOptions, timeout: float | None, *,
               alone: bool) -> dict[str, Any]:
    """What `submitit.AutoExecutor.update_parameters` takes for the job of a cell.

    Parameters
    ----------
    cell : Cell
        What the job runs.
    options : SlurmOptions
        What the user says; it wins.
    timeout : float or None
        Seconds after which the job ends its cell by itself.
    alone : bool
        Whether the cell gets a node of its own.
    """
    values = {"job_name": f"srbench-{cell.identity.method}-{cell.key[:8]}",
              "cpus_per_task": cell.identity.threads * cell.ranks,
              "signal_delay_s": SIGNAL_DELAY, **options.values}
    if cell.device.startswith("cuda") and not values.keys() & {"gres", "gpus", "gpus_per_task"}:
        values.setdefault("gpus_per_node", cell.ranks)
    if alone:
        values = {name: value for name, value in values.items() if not name.startswith("mem")}
        values |= {"exclusive": True, "mem": "0"}  # all of the node's memory
    elif cell.memory_gib and not any(name.startswith("mem") for name in values):
        values["mem"] = f"{math.ceil(cell.memory_gib * 1024)}M"
    # Since Slurm 22.05 a step does not take over this number from its job.
    values["srun_args"] = [f"--cpus-per-task={values['cpus_per_task']}",
                           *values.get("srun_args", ())]
    wanted = options.time or (LIMIT if timeout is None else math.ceil(timeout / 60) + MARGIN)
    known = {name: value for name, value in values.items() if name in SUBMITIT}
    extra = {name.replace("_", "-"): value for name, value in values.items()
             if name not in SUBMITIT}
    shared = {"timeout_min": wanted}
    for name in ("cpus_per_task", "gpus_per_node"):
        if name in known:
            shared[name] = known.pop(name)
    return {**shared, **{f"slurm_{name}": value for name, value in known.items()},
            "slurm_additional_parameters": {**extra, "requeue": True}}


