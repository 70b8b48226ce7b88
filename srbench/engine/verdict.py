"""How a cell ended: the record its process committed, or the one written in its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from srbench.engine.logfile import log_tail
from srbench.engine.outcome import describe_exit, status_of_the_dead
from srbench.plan import Cell
from srbench.results.record import Outcome, Record, Status
from srbench.results.store import RECORD, Store


@dataclass(frozen=True)
class Stamp:
    """Tells a record file from the one that replaced it: a rename brings another inode."""

    inode: int
    changed: int

    @classmethod
    def of(cls, folder: Path) -> Stamp | None:
        """Stamp of the record in a cell's folder; None where there is none."""
        try:
            stat = (folder / RECORD).stat()
        except FileNotFoundError:
            return None
        return cls(stat.st_ino, stat.st_mtime_ns)


@dataclass(frozen=True, kw_only=True)
class End:
    """What the job saw of the end of its cell.

    Attributes
    ----------
    code : int
        Exit code of the process that ended first of its own, as `subprocess` gives it.
    who : str
        Empty, or which of several ranks that was.
    limit : str
        Why the job ended the cell: a time limit in words; empty if it did not.
    stopped : bool
        Whether the user (or the machine's owner) asked for it.
    oom : bool
        Whether the kernel killed a process of this group for want of memory meanwhile.
    started : datetime
        When the job began.
    """

    code: int
    who: str = ""
    limit: str = ""
    stopped: bool = False
    oom: bool = False
    started: datetime = field(default_factory=lambda: datetime.now(UTC))


def conclude(folder: Path, end: End, before: Stamp | None) -> Record:
    """Return the cell's record and commit it where the cell's process could not.

    An ok record of an earlier attempt is not replaced by one that says no more than that this
    attempt was interrupted.

    Parameters
    ----------
    folder : Path
        The cell's folder.
    end : End
        What was seen.
    before : Stamp or None
        Of the record that was there when the cell started.
    """
    store = Store.of_cell(folder)
    cell = Cell.model_validate_json((folder / "cell.json").read_text(encoding="utf-8"))
    earlier = store.read(cell.key)
    record = earlier if Stamp.of(folder) != before else None
    if record is not None and record.outcome.status is Status.OK:
        return record
    if record is None:
        record = bare_record(cell, *_status(end, folder), started=end.started)
    elif end.limit:
        record.outcome.status, record.outcome.reason = Status.TIMEOUT, end.limit
    elif end.who and end.code < 0:
        record.outcome.status = Status.CRASHED
        record.outcome.reason = f"{end.who}{describe_exit(end.code)}"
    if (record.outcome.status is Status.INTERRUPTED and earlier is not None
            and earlier.outcome.status is Status.OK):
        return record
    record.outcome.exit_detail = end.who + (f"exit code {end.code}" if end.code >= 0
                                            else describe_exit(end.code))
    record.outcome.log_tail = log_tail(folder / "log.txt")
    store.commit(record)
    return record


def _status(end: End, folder: Path) -> tuple[Status, str]:
    """Status and reason of a cell that left no record."""
    if end.limit:
        return Status.TIMEOUT, end.limit
    if end.stopped:
        return Status.INTERRUPTED, f"stopped by the user: {describe_exit(end.code)}"
    status, reason = status_of_the_dead(end.code, log_tail(folder / "log.txt"), end.oom)
    return status, f"{end.who}{reason}"


def bare_record(cell: Cell, status: Status, reason: str, *,
                started: datetime | None = None) -> Record:
    """Make a record for a cell whose own process could not write one."""
    now = datetime.now(UTC)
    outcome = Outcome(status=status, reason=reason,
                      started=(started or now).isoformat(timespec="seconds"),
                      finished=now.isoformat(timespec="seconds"))
    return Record(identity=cell.identity, origin=cell.origin, outcome=outcome)
