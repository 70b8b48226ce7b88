"""Where the images of a copy lie: three layouts of folders, and what a copy must hold.

The layouts are those of the archives themselves, of the OTS repository and of FSSR and DASR.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from srbench.errors import DataError
from srbench.files import cache_dir, data_dirs
from srbench.paths import user_path

Role = Literal["lr", "hr", "lr-test", "hr-test"]

SCALE = 4
LR_PATCH, HR_PATCH = 32, 128
PARTIAL = "--set aim19.complete=false accepts a copy of other counts, under another name"
SHOWN = 100  # names listed in a message: all validation images
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".jp2",
             ".avif", ".heic"}
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the four sets of images.

    Parameters
    ----------
    what : str
        For people.
    folders : tuple of str
        Names it goes by: of the archive, of OTS, of FSSR and DASR.
    count : int
        Number of images of the complete set.
    least : int
        Side of the crop every image must hold.
    """

    what: str
    folders: tuple[str, str, str]
    count: int
    least: int


PARTS: Final[dict[Role, Part]] = {
    "lr": Part(what="LR training images", count=2650, least=LR_PATCH,
               folders=("train-noisy-images", "train_noisy", "TrainingSource")),
    "hr": Part(what="HR training images", count=800, least=HR_PATCH,
               folders=("train-clean-images", "train_clean", "DIV2K_train_HR")),
    "lr-test": Part(what="LR validation images", count=100, least=LR_PATCH,
                    folders=("valid-input-noisy", "val_lr", "ValidationSource")),
    "hr-test": Part(what="HR validation images", count=100, least=HR_PATCH,
                    folders=("valid-gt-clean", "val_hr", "DIV2K_valid_HR")),
}


@dataclass(frozen=True)
class Listing:
    """Image files of a copy, by role, sorted by stem.

    Parameters
    ----------
    root : Path
        Folder that holds the four.
    files : dict
        Role to paths.
    digest : str
        SHA-256 (hex) of roles, paths, sizes and times of change.
    """

    root: Path
    files: dict[Role, tuple[Path, ...]]
    digest: str


def official_folder() -> Path:
    """Folder below which ``srbench fetch aim19`` unpacks the archives."""
    return cache_dir() / "aim19" / "official"


def places(root: str) -> list[Path]:
    """Folders a copy may lie in: ``root`` if given, else those of ``SRBENCH_DATA`` and the cache.

    Of ``root`` and each folder of ``SRBENCH_DATA``, the folders directly inside count too.
    """
    given = [user_path(root)] if root else list(data_dirs())
    found: list[Path] = []
    for folder in given:
        found.append(folder)
        if folder.is_dir():
            found += sorted(below for below in folder.iterdir()
                            if below.is_dir() and not below.name.startswith("."))
    return found if root else [*found, official_folder()]


def look(folder: Path) -> dict[Role, Path]:
    """Which of the four sets a folder holds, under whatever name.

    Raises
    ------
    DataError
        If it holds one under two names.
    """
    found: dict[Role, Path] = {}
    for role, part in PARTS.items():
        present = [folder / name for name in part.folders if (folder / name).is_dir()]
        if len(present) > 1:
            raise DataError(f"{folder} holds the {part.what} under two names: "
                            f"{' and '.join(path.name for path in present)}",
                            hint="move one of them elsewhere")
        if present:
            found[role] = present[0]
    return found


def locate(root: str) -> tuple[Path, dict[Role, Path]] | None:
    """First of the `places` that holds all four sets, and where they are in it."""
    for folder in places(root):
        found = look(folder)
        if len(found) == len(PARTS):
            return folder, found
    return None


def lacking(root: str) -> str:
    """Name the sets that the most promising place lacks; empty where there is none."""
    found = max((look(folder) for folder in places(root) if folder.is_dir()), key=len, default={})
    absent = [part.what for role, part in PARTS.items() if role not in found]
    return ", ".join(absent) if found else ""


def describe_absence(root: str) -> str:
    """Say what was found in the most promising place, and what was expected."""
    candidates = [(look(folder), folder) for folder in places(root) if folder.is_dir()]
    expected = "; ".join(f"{part.what} in {', '.join(part.folders[:2])} or {part.folders[2]}"
                         for part in PARTS.values())
    if not candidates:
        where = f"{user_path(root)} is no folder" if root else (
            "neither SRBENCH_DATA nor the cache holds a copy")
        return f"{where}; expected: {expected}"
    found, folder = max(candidates, key=lambda candidate: len(candidate[0]))
    states = "; ".join(f"{part.what}: " + (found[role].name if role in found else "missing")
                       for role, part in PARTS.items())
    names = sorted(path.name for path in folder.iterdir())
    others = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"{folder} holds {others or 'nothing'}; found: {states}; expected: {expected}"


def list_images(root: Path, folders: dict[Role, Path]) -> Listing:
    """List the image files of the four folders, flat or one folder deeper, without hidden ones.

    Raises
    ------
    DataError
        If a folder holds no image, or two of one stem.
    """
    files: dict[Role, tuple[Path, ...]] = {}
    digest = hashlib.sha256()
    for role, folder in folders.items():
        paths = sorted(_images(folder), key=lambda path: (path.stem, path.name))
        if not paths:
            raise DataError(f"{folder} holds no image", hint="its images may lie directly in it "
                                                             "or one folder deeper")
        twice = [f"two {PARTS[role].what} have the name {first.stem}: {first} and {second}"
                 for first, second in pairwise(paths) if first.stem == second.stem]
        if twice:
            raise DataError(_listed(twice, "; "), hint="remove one of each two")
        for path in paths:
            state = path.stat()
            times = f"{state.st_mtime_ns}\0{state.st_ctime_ns}"  # the second cannot be set back
            digest.update(f"{role}\0{path}\0{state.st_size}\0{times}\n".encode("utf-8",
                                                                             "surrogateescape"))
        files[role] = tuple(paths)
    return Listing(root, files, digest.hexdigest())


def _images(folder: Path) -> Iterator[Path]:
    """Image files in a folder and in the folders directly inside."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__MACOSX":
            continue
        below = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in below:
            if file.suffix.lower() in _SUFFIXES and not file.name.startswith("."):
                yield file
            elif file.is_file():
                _LOG.info("%s is no image and is left out", file)


def check_counts(listing: Listing) -> None:
    """Raise `DataError` with both numbers where a set is not complete."""
    wrong = [f"{listing.files[role][0].parent} holds {len(listing.files[role])} "
             f"{part.what}, the complete set has {part.count}"
             for role, part in PARTS.items() if len(listing.files[role]) != part.count]
    if wrong:
        raise DataError("; ".join(wrong), hint=PARTIAL)


def check_pairs(listing: Listing) -> None:
    """Raise `DataError` if validation images are not pairs by their names."""
    lr, hr = ({path.stem for path in listing.files[role]} for role in ("lr-test", "hr-test"))
    sides = [f"{mine} without {other}: {_listed(sorted(alone), ', ')}"
             for mine, other, alone in (("LR", "HR", lr - hr), ("HR", "LR", hr - lr)) if alone]
    if sides:
        raise DataError(f"{len(lr ^ hr)} validation images have no partner of the same name: "
                        + "; ".join(sides), hint="LR and HR validation images are paired by name")


def _listed(words: Sequence[str], between: str) -> str:
    more = f"{between}and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return between.join(words[:SHOWN]) + more
