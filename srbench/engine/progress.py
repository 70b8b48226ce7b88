"""Where the cells of a plan stand, read from their folders."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srbench.engine.live import read_live
from srbench.engine.lock import is_locked
from srbench.results.record import Status
from srbench.results.store import RECORD, Store

WAITING, RUNNING = "waiting", "running"
ENDED = {str(status) for status in Status}


@dataclass(frozen=True)
class Standing:
    """Where one cell stands.

    Attributes
    ----------
    key, name : str
        Of the cell.
    state : str
        ``"waiting"``, ``"running"``, or the status of its record.
    reason : str
        Why it is not ok.
    live : dict
        What a running cell says of itself: ``phase, stage, step, steps, rate, eta, pid, host,
        started``; for one that ended ``started, finished``.
    """

    key: str
    name: str
    state: str
    reason: str = ""
    live: dict[str, Any] = field(default_factory=dict)


def standings(store: Store, plan: dict[str, Any]) -> list[Standing]:
    """Where each cell of a plan stands, in its order."""
    names = plan.get("names") or plan["cells"]
    return [standing(store, str(key), str(name))
            for key, name in zip(plan["cells"], names, strict=True)]


def standing(store: Store, key: str, name: str = "") -> Standing:
    """Where one cell stands.

    What ``live.json`` says counts only while it can be true: a cell runs while its lock is held,
    and ended where a record is there.
    """
    folder = store.cell_folder(key)
    live = read_live(folder)
    state = live.get("state")
    if state in (RUNNING, "stopping") and is_locked(folder):
        return Standing(key, name, RUNNING, live=live)
    if not (folder / RECORD).is_file():
        gone = "its process is gone; srbench resume goes on from its last checkpoint"
        return (Standing(key, name, "interrupted", gone, live) if state
                else Standing(key, name, WAITING))
    if state in ENDED and _is_newer(folder):
        return Standing(key, name, str(state), str(live.get("reason", "")), live)
    record = store.read(key)
    if record is None:
        return Standing(key, name, WAITING, "its record is damaged")
    return Standing(key, name, str(record.outcome.status), record.outcome.reason,
                    {"started": record.outcome.started, "finished": record.outcome.finished})


def _is_newer(folder: Path) -> bool:
    """Whether ``live.json`` was written after the record."""
    live, record = folder / "live.json", folder / RECORD
    return live.stat().st_mtime_ns >= record.stat().st_mtime_ns
