"""Images of different sizes in one memory-mapped file, and crops of them."""

from __future__ import annotations

from srbench.imagestore.crops import TURNS, random_places, turned
from srbench.imagestore.store import ImageStore

__all__ = ["TURNS", "ImageStore", "random_places", "turned"]
