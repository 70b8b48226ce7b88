"""Pictures of a board, each made once, and what a choice of them weighs."""

from __future__ import annotations

from dataclasses import dataclass, field

from srbench.boards.pixels.cells import Cell, Stored, first_readable
from srbench.boards.pixels.crops import difference_picture, picture, thumbnail
from srbench.boards.pixels.model import Picture, Shot


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a page would show."""

    cells: list[Cell]
    scenes: tuple[tuple[int, str], ...]
    side: int


@dataclass
class Album:
    """Pictures of a board, each made once, whichever plan asks."""

    cells: list[Cell]
    gain: int
    _images: dict[tuple[str, str, int], Stored | None] = field(default_factory=dict)
    _pictures: dict[tuple[str, str, int, int], Picture] = field(default_factory=dict)

    def image(self, cell: Cell | None, kind: str, index: int) -> Stored | None:
        """An image of a cell, or LR or HR of the first cell that has them."""
        key = cell.row.anchor if cell else "", kind, index
        if key not in self._images:
            self._images[key] = cell.image(kind, index) if cell else \
                first_readable(self.cells, kind, index)
        return self._images[key]

    def shot(self, cell: Cell | None, kind: str, index: int, side: int) -> Shot:
        """Picture and difference map of what is shown of an image."""
        image, hr = self.image(cell, kind, index), self.image(None, "hr", index)
        if image is None or hr is None:
            return Shot(picture=None, why="no image was kept, or its file is damaged")
        if kind == "prediction" and image.size != hr.size:
            return Shot(picture=None, why="the image has another size than HR")
        key = cell.row.anchor if cell else "", kind, index, side
        if key not in self._pictures:
            self._pictures[key] = picture(image, hr.size, side)
        difference = None
        if kind != "hr" and image.size == hr.size:
            mapped = key[0], f"{kind}-difference", index, side
            if mapped not in self._pictures:
                self._pictures[mapped] = difference_picture(image, hr, side, self.gain)
            difference = self._pictures[mapped]
        return Shot(picture=self._pictures[key], difference=difference)

    def thumbnail(self, index: int) -> Picture:
        """A small view of a scene's whole image."""
        hr = self.image(None, "hr", index)
        if hr is None:
            raise ValueError(f"scene {index} was chosen though its HR image cannot be read")
        key = "", "thumbnail", index, 0
        if key not in self._pictures:
            self._pictures[key] = thumbnail(hr)
        return self._pictures[key]

    def weight(self, plan: Plan, most: int) -> int:
        """Bytes of a plan's pictures as base64, or a number above ``most`` as soon as it is."""
        total = 0
        for index, _ in plan.scenes:
            total += len(self.thumbnail(index).uri)
            ends: list[tuple[Cell | None, str]] = [(None, "lr"), (None, "hr")]
            for cell, kind in ends + [(cell, "prediction") for cell in plan.cells]:
                shot = self.shot(cell, kind, index, plan.side)
                total += sum(len(part.uri) for part in (shot.picture, shot.difference) if part)
                if total > most:
                    return total
        return total
