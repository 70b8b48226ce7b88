"""What the image sections of a page show, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image of the page: its address, and the HR pixels it covers.

    ``uri`` is a data URI, or the path of a file beside the page made of names of ours.
    """

    uri: Markup
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One method's image of one scene.

    Attributes
    ----------
    picture : Picture or None
        None where the file is missing, unreadable or of another size; ``why`` says which.
    difference : Picture or None
        Signed difference to HR; None for HR, and for LR where that is smaller.
    values : tuple of (str, str)
        Titles and formatted values of this image.
    """

    picture: Picture | None
    difference: Picture | None = None
    values: tuple[tuple[str, str], ...] = ()
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Option:
    """What can be looked at: LR, a method, HR. ``key`` is safe in ids, ``note`` says which seed."""

    key: str
    label: str
    shots: tuple[Shot, ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A test image: its number from 1, its role (``"worst"``, ``"median"``, ...), a thumbnail."""

    number: int
    role: str
    thumbnail: Picture

    @property
    def name(self) -> str:
        """How the page calls it: ``worst (image 3)``, ``image 7``."""
        return f"{self.role} (image {self.number})" if self.role else f"image {self.number}"


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """The colours of one method's pixels, with what is written below them."""

    label: str
    picture: Picture | None
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Palettes:
    """A row of clouds, LR first and HR last; sentences that say what they show and leave out."""

    clouds: tuple[Cloud, ...]
    finding: str
    left_out: str = ""


@dataclass(frozen=True, kw_only=True)
class FlagNote:
    """A flag, what raises it, and the methods it was raised for. ``known`` is False for others'."""

    name: str
    title: str
    meaning: str
    labels: tuple[str, ...]
    known: bool = True


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Everything the macros of ``_pixels.html`` need.

    Attributes
    ----------
    scenes, options
        Each option has one shot of each scene.
    scene, option : int
        Places of those shown first.
    zoom : int
        Enlargement shown first: 2, 4 or 8.
    rule, crop, left_out : str
        How scenes were chosen, what is cut from them, and what the page has no room for.
    gain : int
        Factor of the difference maps.
    """

    scenes: tuple[Scene, ...]
    options: tuple[Option, ...]
    scene: int
    option: int
    zoom: int
    rule: str
    crop: str
    gain: int
    left_out: str = ""
    palettes: Palettes | None = None
    flags: tuple[FlagNote, ...] = ()
