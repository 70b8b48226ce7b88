"""The challenge's images on the user's machine: found, checked, imported."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from srbench.errors import DataError
from srbench.files import cache_dir
from srbench_aim19.importing import Images, Plan, build, refuse
from srbench_aim19.layout import PARTS, SCALE, Listing, Role, check_counts, check_pairs
from srbench_aim19.png import BadImage, read_png, read_shape
from srbench_aim19.statistics import check_published

Shapes = dict[Role, tuple[tuple[int, int], ...]]


def import_images(listing: Listing, *, complete: bool) -> Images:
    """Import a copy, or open it where that was done before.

    Parameters
    ----------
    listing : Listing
        Its files; the import is known by their paths, sizes and times of change.
    complete : bool
        Whether it must be the whole set: 2650, 800, 100 and 100 images, with the channel
        statistics published for them.

    Raises
    ------
    DataError
        If it is not what it must be; everything wrong is named.
    """
    check_pairs(listing)
    if complete:
        check_counts(listing)
    images = build(cache_dir() / "aim19" / listing.digest, lambda: _plan(listing))
    if complete:
        check_published(images.statistics)
    return images


def _plan(listing: Listing) -> Plan:
    """Look at the header of every file, and plan to decode them all."""
    shapes: dict[Role, tuple[tuple[int, int], ...]] = {}
    faults: list[str] = []
    for role, paths in listing.files.items():
        found = [_shape_or_fault(role, path) for path in paths]
        faults += [fault for fault in found if isinstance(fault, str)]
        shapes[role] = tuple(shape for shape in found if not isinstance(shape, str))
    refuse(faults)
    _check_scale(listing, shapes)

    def read(role: Role, i: int) -> np.ndarray:
        return read_png(listing.files[role][i])

    def label(role: Role, i: int) -> str:
        return str(listing.files[role][i])

    names = {role: tuple(path.stem for path in paths) for role, paths in listing.files.items()}
    return Plan(names, shapes, read, label)


def _shape_or_fault(role: Role, path: Path) -> tuple[int, int] | str:
    """Height and width of an image, or what is wrong with it, with its path."""
    least = PARTS[role].least
    try:
        if path.suffix.lower() != ".png":
            raise BadImage("is no PNG")
        height, width = read_shape(path)
        if min(height, width) < least:
            raise BadImage(f"is {width} x {height}, too small for a crop of {least} x {least}")
    except BadImage as error:
        return f"{path} {error}"
    return height, width


def _check_scale(listing: Listing, shapes: Shapes) -> None:
    """Raise `DataError` if an HR validation image is not 4 times as large as its LR image."""
    wrong = []
    for path, lr, hr in zip(listing.files["lr-test"], shapes["lr-test"], shapes["hr-test"],
                            strict=True):
        if hr != (SCALE * lr[0], SCALE * lr[1]):
            wrong.append(f"{path.stem} is {lr[1]} x {lr[0]} in LR and {hr[1]} x {hr[0]} in HR")
    if wrong:
        raise DataError(f"{len(wrong)} validation pairs are not of scale {SCALE}: "
                        f"{'; '.join(wrong[:10])}", hint="nothing was imported")
