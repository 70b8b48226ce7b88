"""The image files of a light table: which scenes fit, and what is missing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from srbench.boards.pixels.cells import Cell, Stored, first_readable
from srbench.boards.pixels.png import encode_rgb, plain_chunks
from srbench.boards.pixels.scenes import Choice
from srbench.files import atomic_write

BUDGET = 12_000_000  # bytes of the image files
FEWEST_SCENES = 3
OURS = re.compile(r"\d+-[A-Za-z0-9._-]+\.png")


@dataclass
class Shelf:
    """Files that the page shows, by name, and the scenes and methods they belong to."""

    cells: list[Cell]
    keys: list[str]
    scenes: list[tuple[int, str]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    why: dict[tuple[int, str], str] = field(default_factory=dict)
    targets: dict[int, Stored] = field(default_factory=dict)


def filled(shelf: Shelf, choice: Choice) -> Shelf:
    """Take scenes in their order while they fit."""
    for index, role in choice.order:
        files, hr = _files(shelf, index)
        total = sum(map(len, files.values())) + sum(map(len, shelf.files.values()))
        if total > BUDGET and len(shelf.scenes) >= FEWEST_SCENES:
            break
        shelf.files |= files
        shelf.scenes.append((index, role))
        shelf.targets[index] = hr
    return shelf


def _files(shelf: Shelf, index: int) -> tuple[dict[str, bytes], Stored]:
    """Image files of one scene by name, and its HR image; notes what is missing."""
    ends = {kind: first_readable(shelf.cells, kind, index) for kind in ("lr", "hr")}
    hr = ends["hr"]
    if hr is None:
        raise ValueError(f"scene {index} was chosen though its HR image cannot be read")
    images = [("lr", ends["lr"]), *((key, cell.image("prediction", index))
                                    for key, cell in zip(shelf.keys, shelf.cells, strict=True)),
              ("hr", hr)]
    files = {}
    for key, image in images:
        if image is None:
            shelf.why[index, key] = "no image was kept, or its file is damaged"
        elif key != "lr" and image.size != hr.size:
            shelf.why[index, key] = "the image has another size than HR"
        else:
            small = plain_chunks(image.content) and len(image.content) <= image.pixels.size + 1024
            files[f"{index + 1}-{key}.png"] = image.content if small else encode_rgb(image.pixels)
    return files, hr


def write_files(shelf: Shelf, folder: Path) -> None:
    """Write a shelf's files, and remove those of ours that an earlier page had."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.iterdir()):
        if OURS.fullmatch(path.name) and path.name not in shelf.files:
            path.unlink()
    for name, content in shelf.files.items():
        atomic_write(folder / name, content)
