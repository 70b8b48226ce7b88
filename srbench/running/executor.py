"""Where the cells of a run are run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from srbench.engine.executors import Executor
    from srbench.plan import Cell
    from srbench.results.store import Store


def refuse_impossible(given: Mapping[str, Any], cells: Iterable[Cell]) -> None:
    """Refuse cells that this machine could never run, before anything is written or started.

    Raises
    ------
    UsageError
        If one wants more GPUs than there are.
    """
    from srbench.engine.executors.machine import Machine

    if (given.get("executor") or "local") == "local":
        Machine.here().check(cells)


def check_executor(given: Mapping[str, Any]) -> str:
    """Name of the executor of ``--executor``; nothing is started.

    Raises
    ------
    UnknownName, UsageError
        If there is no such executor, or an option that it does not take was given.
    """
    from srbench.engine import executors
    from srbench.errors import UnknownName, UsageError

    name = str(given.get("executor") or "local")
    if name not in executors.NAMES:
        raise UnknownName("executor", name, executors.NAMES)
    for option, owner in (("address", "ray"), ("slurm", "slurm")):
        if given.get(option) and name != owner:
            raise UsageError(f"--{option} is an option of --executor {owner}, not of {name}")
    if name == "slurm":
        from srbench.engine.executors.slurm_options import SlurmOptions

        SlurmOptions.parse(given.get("slurm") or ())
    return name


def make_executor(given: Mapping[str, Any], store: Store) -> Executor:
    """Start the executor of ``--executor``.

    Raises
    ------
    UnknownName, UsageError
        As `check_executor`.
    MissingDependency
        If its package is not installed.
    """
    name, jobs = check_executor(given), given.get("jobs")
    if name == "ray":
        from srbench.engine.executors.ray import RayExecutor

        return RayExecutor(jobs=jobs, address=given.get("address"))
    if name == "slurm":
        from srbench.engine.executors.slurm import SlurmExecutor

        return SlurmExecutor(store.runs / "slurm", jobs=jobs, options=given.get("slurm") or ())
    from srbench.engine.executors.local import LocalExecutor

    return LocalExecutor(jobs=jobs)
