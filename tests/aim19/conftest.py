"""Small copies of AIM19 in the three layouts people keep it in."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from srbench_aim19 import importing
from srbench_aim19.dataset import AIM19

ROLES = ("lr", "hr", "lr-test", "hr-test")
LAYOUTS = {
    "archives": ("train-noisy-images", "train-clean-images", "valid-input-noisy",
                 "valid-gt-clean"),
    "ots": ("train_noisy", "train_clean", "val_lr", "val_hr"),
    "fssr": ("TrainingSource", "DIV2K_train_HR", "ValidationSource", "DIV2K_valid_HR"),
}
# (height, width): odd, different, some just large enough
SHAPES = {
    "lr": {"000001": (61, 83), "000002": (32, 47), "000010": (90, 75)},
    "hr": {"0001": (131, 128), "0002": (128, 203), "0003": (160, 155), "0004": (141, 129)},
    "lr-test": {"0801": (33, 41), "0802": (40, 32)},
    "hr-test": {"0801": (132, 164), "0802": (160, 128)},
}


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels: np.ndarray, *, colour: int | None = None, extra: bytes = b"") -> bytes:
    """A PNG file of (h, w, c) uint8 or uint16, by the specification and without a library."""
    height, width, channels = pixels.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels] if colour is None else colour
    depth = 8 * pixels.itemsize
    rows = pixels.astype(pixels.dtype.newbyteorder(">"))
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
            + chunk(b"IDAT", zlib.compress(lines, 1)) + chunk(b"IEND", b""))


def picture(shape: tuple[int, int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


@dataclass
class Copy:
    """A copy of the data set: a folder, and the pixels that were written to it."""

    root: Path
    names: dict[str, str]
    below: str = ""
    pixels: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    def folder(self, role: str) -> Path:
        return self.root / self.names[role] / self.below

    def path(self, role: str, stem: str) -> Path:
        return self.folder(role) / f"{stem}.png"

    def put(self, role: str, stem: str, pixels: np.ndarray) -> None:
        self.folder(role).mkdir(parents=True, exist_ok=True)
        self.path(role, stem).write_bytes(png(pixels))
        self.pixels.setdefault(role, {})[stem] = pixels

    def open(self, **given: object) -> AIM19:
        return opened(root=str(self.root), complete=False, **given)


def make_copy(root: Path, layout: str = "archives", below: str = "") -> Copy:
    copy = Copy(root, dict(zip(ROLES, LAYOUTS[layout], strict=True)), below)
    seed = 0
    for role, shapes in SHAPES.items():
        for stem, shape in shapes.items():
            copy.put(role, stem, picture(shape, seed := seed + 1))
    return copy


def opened(**given: object) -> AIM19:
    return AIM19(AIM19.Params.resolve("quick", "", {"fid_patches": 40, **given}), "aim19")


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return make_copy(tmp_path / "copy")


@pytest.fixture
def steps(monkeypatch) -> list[tuple[str, int, int]]:
    """What the import reports."""
    told: list[tuple[str, int, int]] = []
    monkeypatch.setattr(importing, "on_progress", lambda *step: told.append(step))
    return told
