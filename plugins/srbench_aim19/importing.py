"""Decoding a copy once into image stores below the cache, and checking it on the way.

An import is a folder with one store for each of the four sets and ``manifest.json``, written last:
without it the folder is no import, and the next attempt goes on with what is there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from srbench.errors import CorruptFile, DataError, StoreError
from srbench.files import atomic_write
from srbench.imagestore import ImageStore
from srbench_aim19.layout import PARTS, Role
from srbench_aim19.png import BadImage
from srbench_aim19.progress import Reporter
from srbench_aim19.statistics import Moments, Statistics, shrunk

MANIFEST = "manifest.json"
VERSION = 1
SHOWN = 10  # faults named in a message
THREADS = 4
on_progress: Callable[[str, int, int], None] = Reporter()
"""Told what is being done, how many steps of it are done, and of how many; set it to listen."""

_LOG = logging.getLogger(__name__)
Summary = dict[str, Moments]


@dataclass(frozen=True)
class Plan:
    """What is to be stored.

    Parameters
    ----------
    names : dict
        Role to the names of its images, in order.
    shapes : dict
        Role to (height, width) of each.
    read : callable
        Makes the pixels (h, w, 3) uint8 of a role and a number; may raise `BadImage`.
    label : callable
        What to call that image in a message.
    """

    names: dict[Role, tuple[str, ...]]
    shapes: dict[Role, tuple[tuple[int, int], ...]]
    read: Callable[[Role, int], np.ndarray]
    label: Callable[[Role, int], str]


@dataclass(frozen=True)
class Images:
    """An import: the four stores, and statistics by role and of ``"hr/4"``."""

    stores: dict[Role, ImageStore]
    statistics: dict[str, Statistics]

    def digest(self) -> str:
        """SHA-256 (hex) of role, name, shape and pixels of every image."""
        digest = hashlib.sha256()
        for role in PARTS:
            store = self.stores[role]
            for name, shape, pixels in zip(store.names, store.shapes.tolist(), store.hashes,
                                           strict=True):
                digest.update(f"{role}\0{name}\0{shape}\0{pixels}\n".encode())
        return digest.hexdigest()


def build(folder: Path, plan: Callable[[], Plan]) -> Images:
    """Return the import in ``folder``, made now if it is not there or damaged.

    Parameters
    ----------
    folder : Path
        Below the cache; its name stands for the content.
    plan : callable
        Called only if there is something to do.

    Raises
    ------
    DataError
        If images cannot be used (all are looked at, the first ten named) or one is there twice.
        Nothing is kept then.
    StoreError
        If the disk is too small.
    """
    if (folder / MANIFEST).exists():
        try:
            return open_images(folder)
        except CorruptFile as error:
            _LOG.warning("%s; importing again", error.message)
    with one_at_a_time(folder):
        if (folder / MANIFEST).exists():
            try:
                return open_images(folder)  # another process made it while this one waited
            except CorruptFile:
                shutil.rmtree(folder)
        wanted = plan()
        _check_space(folder, wanted)
        try:
            statistics = _fill(folder, wanted)
        except DataError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        document = {"version": VERSION,
                    "statistics": {key: one.to_json() for key, one in statistics.items()}}
        atomic_write(folder / MANIFEST, json.dumps(document, indent=1).encode())
    return open_images(folder)


def open_images(folder: Path) -> Images:
    """Open a finished import.

    Raises
    ------
    CorruptFile
        If it is none or one of its stores is damaged.
    """
    try:
        document = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']} instead of {VERSION}")
        statistics = {key: Statistics.from_json(stored)
                      for key, stored in document["statistics"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptFile(f"{folder / MANIFEST} is no import: {error!r}",
                          hint=f"delete {folder}") from error
    return Images({role: ImageStore.open(folder / role) for role in PARTS}, statistics)


def refuse(faults: list[str]) -> None:
    """Raise `DataError` naming the first ten faults and their number, if there is any."""
    if faults:
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise DataError(f"{len(faults)} images cannot be used: {'; '.join(faults[:SHOWN])}{more}",
                        hint="nothing was imported; replace them by 8-bit RGB PNG files")


def _fill(folder: Path, plan: Plan) -> dict[str, Statistics]:
    """Decode everything into the stores; return statistics by role and of ``"hr/4"``."""
    summaries: dict[str, list[Moments]] = {}
    faults: list[str] = []
    stores = {role: ImageStore.resume(folder / role, plan.shapes[role], names=plan.names[role])
              for role in PARTS}
    for role, store in stores.items():
        for found in _decode(role, store, plan):
            if isinstance(found, str):
                faults.append(found)
                continue
            for key, moments in found.items():
                summaries.setdefault(key, []).append(moments)
    refuse(faults)
    for store in stores.values():
        store.finish()
    _check_different(stores, plan)
    return {key: Statistics.of(moments) for key, moments in summaries.items()}


def _decode(role: Role, store: ImageStore, plan: Plan) -> Iterator[Summary | str]:
    """Put every image of a role; yield its sums or its fault. As many are held as threads work."""

    def work(i: int) -> Summary | str:
        try:
            pixels = store[i] if store.has(i) else plan.read(role, i)
        except BadImage as error:
            return f"{plan.label(role, i)} {error}"
        store.put(i, pixels)
        image = Image.fromarray(pixels)
        summary: Summary = {role: Moments.of(image)}
        if role == "hr":
            summary["hr/4"] = Moments.of(shrunk(image))
        return summary

    what, total = f"importing {PARTS[role].what}", len(store)
    pool = ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1))
    try:
        for done, found in enumerate(pool.map(work, range(total)), 1):
            on_progress(what, done, total)
            yield found
    finally:
        pool.shutdown(cancel_futures=True)
        stop = getattr(on_progress, "stop", None)
        if stop is not None:
            stop()


def _check_different(stores: dict[Role, ImageStore], plan: Plan) -> None:
    """Raise `DataError` if LR training, HR training and validation share an image."""
    seen: dict[tuple[str, tuple[int, int]], tuple[str, str]] = {}
    twice = []
    for role, store in stores.items():
        group = role.partition("-")[2] or role
        for i, digest in enumerate(store.hashes):
            label = plan.label(role, i)
            other, first = seen.setdefault((digest, store.shape(i)), (group, label))
            if other != group:
                twice.append(f"{label} shows the same pixels as {first}")
    if twice:
        raise DataError(f"{len(twice)} images are in two of the sets that must be disjoint: "
                        f"{'; '.join(twice[:SHOWN])}", hint="nothing was imported; remove them "
                                                            "from one of the two")


def _check_space(folder: Path, plan: Plan) -> None:
    """Raise `StoreError` if the stores do not fit on the disk."""
    needed = sum(3 * height * width for shapes in plan.shapes.values() for height, width in shapes)
    taken = sum(path.stat().st_blocks * 512 for path in folder.glob("*/images.raw")
                if hasattr(path.stat(), "st_blocks"))
    free = shutil.disk_usage(folder.parent).free
    if needed - taken > free:
        raise StoreError(
            f"the images take {needed / 1e9:.1f} GB in {folder.parent}, where {free / 1e9:.1f} GB "
            "are free", hint="SRBENCH_CACHE=DIR puts the cache on a larger disk")


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process work on ``folder``; a second one waits. Ends with the process."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
