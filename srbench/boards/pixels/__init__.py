"""The image sections of leaderboard pages: comparator, palettes, flags, and the light table."""

from srbench.boards.pixels.flags import flag_notes
from srbench.boards.pixels.lighttable import pixels_page
from srbench.boards.pixels.make import make_pixels
from srbench.boards.pixels.model import Pixels

__all__ = ["Pixels", "flag_notes", "make_pixels", "pixels_page"]
