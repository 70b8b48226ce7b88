"""Channel statistics of a set of images, exact and in one pass.

Legend: values are levels 0 to 255; mean and sd are those of all pixels of a set taken together,
``sd_within`` the mean over images of each image's own standard deviation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from PIL import Image

from srbench.errors import DataError
from srbench_aim19.layout import PARTIAL, SCALE

TOLERANCE = 3.0  # levels

# Of the released configuration of DeFlow (Wolf et al., 2021): the noisy training images as they
# are, the clean ones shrunk by 4. It does not say whether the deviation is that of all pixels or a
# mean over images; the check below takes either.
PUBLISHED: Final = {
    "lr": ((120.717, 115.667, 104.757), (54.150, 52.601, 55.650)),
    "hr/4": ((114.476, 111.670, 103.291), (59.982, 57.242, 59.913)),
}
_LEVELS = np.arange(256, dtype=np.int64)


@dataclass(frozen=True)
class Moments:
    """Sums over the pixels of one image, for each channel.

    Parameters
    ----------
    pixels : int
        Their number.
    sums, squares : tuple of int
        Of the values and their squares.
    """

    pixels: int
    sums: tuple[int, ...]
    squares: tuple[int, ...]

    @classmethod
    def of(cls, image: Image.Image) -> Moments:
        """Take those of an RGB image."""
        counts = np.array(image.histogram(), dtype=np.int64).reshape(3, 256)
        return cls(int(counts[0].sum()), tuple((counts @ _LEVELS).tolist()),
                   tuple((counts @ _LEVELS**2).tolist()))


@dataclass(frozen=True)
class Statistics:
    """Channel statistics of a set.

    Parameters
    ----------
    count : int
        Number of images.
    mean, sd, sd_within : tuple of float
        Red, green and blue; see the module.
    """

    count: int
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    sd_within: tuple[float, ...]

    @classmethod
    def of(cls, images: Iterable[Moments]) -> Statistics:
        """Sum up a set."""
        moments = list(images)
        pixels = np.array([one.pixels for one in moments], dtype=object)[:, None]
        sums = np.array([one.sums for one in moments], dtype=object)  # Python's exact integers
        squares = np.array([one.squares for one in moments], dtype=object)
        # n * sum of squares - square of the sum, exact before the division
        inner = np.sqrt(((pixels * squares - sums**2) / pixels**2).astype(float))
        n, total, square = pixels.sum(), sums.sum(0), squares.sum(0)
        outer = np.sqrt(((n * square - total**2) / n**2).astype(float))
        return cls(len(moments), tuple((total / n).astype(float).tolist()),
                   tuple(outer.tolist()), tuple(inner.mean(0).tolist()))

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Statistics:
        """Read what `asdict` gave."""
        return cls(int(stored["count"]), *(tuple(map(float, stored[key]))
                                           for key in ("mean", "sd", "sd_within")))

    def to_json(self) -> dict[str, Any]:
        """Return JSON data."""
        return asdict(self)

    def colour(self) -> list[float]:
        """Mean colour in [-1, 1]."""
        return [value / 127.5 - 1 for value in self.mean]


def shrunk(image: Image.Image) -> Image.Image:
    """Shrink by 4 with Pillow's bicubic filter, which is MATLAB's up to rounding."""
    width, height = (max(1, side // SCALE) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def check_published(found: dict[str, Statistics]) -> None:
    """Compare a complete set with DeFlow's statistics.

    The mean may differ by 3 levels. The published deviation must lie between ``sd_within`` and
    ``sd`` (what lies between the two usual definitions), widened by 3 levels.

    Raises
    ------
    DataError
        With the values of a set that is something else.
    """
    for key, (mean, sd) in PUBLISHED.items():
        ours = found[key]
        for name, i in zip(("red", "green", "blue"), range(3), strict=True):
            low, high = ours.sd_within[i] - TOLERANCE, ours.sd[i] + TOLERANCE
            if abs(ours.mean[i] - mean[i]) > TOLERANCE or not low <= sd[i] <= high:
                what = "LR" if key == "lr" else "HR (shrunk by 4)"
                raise DataError(
                    f"the {what} training images are not those of AIM19: {name} has mean "
                    f"{ours.mean[i]:.1f} and deviation {ours.sd_within[i]:.1f} (of an image) to "
                    f"{ours.sd[i]:.1f} (of all), published are {mean[i]:.1f} and {sd[i]:.1f}",
                    hint=PARTIAL)
