"""Where jobs run: this machine, Ray, Slurm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from srbench.plan import Cell

LOST = -1000
"""Exit code of a job whose machine was lost: it may be started again elsewhere."""


class Executor(Protocol):
    """Starts jobs somewhere and says how they ended; knows nothing of what a job does.

    A job is a command line that runs a cell described by a file in a folder which every machine
    of the executor can see. It may be killed and started again at any time.
    """

    name: str

    def submit(self, cell: Cell, command: Sequence[str], *, alone: bool = False) -> Any | None:
        """Start a job and return a handle, or None where there is no room for it now.

        Parameters
        ----------
        cell : Cell
            What the job runs; says what it needs.
        command : sequence of str
            The job.
        alone : bool
            Share neither memory nor GPU with other jobs, and avoid where it ran before: it ran
            out of memory there.
        """
        ...

    def poll(self, handle: Any) -> int | None:
        """Exit code of a job, `LOST`, or None while it runs or waits."""
        ...

    def cancel(self, handle: Any, *, now: bool) -> None:
        """Ask one job to write a checkpoint and end; ``now`` ends it without waiting."""
        ...

    def close(self) -> None:
        """End every job of this executor that still runs and let go of everything."""
        ...


NAMES = ("local", "ray", "slurm")
