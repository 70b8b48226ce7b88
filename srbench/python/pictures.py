"""Image files that a map restores: read as they are meant, refused where values would be lost.

::

    colour, grey, palette      restored as RGB
    alpha                      enlarged beside the colours (bicubic), kept in PNG, WebP and TIFF
    EXIF orientation           applied; the output is upright and says nothing of it
    ICC profile of RGB         kept: values are restored as they are stored
    16 bits, float, CMYK, LAB  refused
    animations, several pages  refused
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from srbench.errors import CorruptFile, DataError, UsageError
from srbench.files import write_atomically
from srbench.results.samples import to_bytes

if TYPE_CHECKING:
    from torch import Tensor

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF",
           ".tiff": "TIFF", ".bmp": "BMP"}
READ = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "GIF")
WITH_ALPHA = ("PNG", "WEBP", "TIFF")
SAVED: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_deflate"}}
MOST_BYTES = 2**30  # of a file
MOST_PIXELS = 2**28  # of a restored image: 3 GiB of float32
PLAIN = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr")
BITS_PER_SAMPLE = 258  # TIFF's tag
BROKEN = (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, struct.error,
          zlib.error, KeyError, IndexError, TypeError, MemoryError, OverflowError)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image to be restored.

    Attributes
    ----------
    pixels : Tensor
        (1, 3, h, w), float32, in [-1, 1].
    alpha : PIL image or None
        8-bit, of the same size.
    profile : bytes
        ICC profile of RGB colours; empty without one.
    scale : int
        By which the map enlarges.
    notes : tuple of str
        What was done to the image that one may not expect.
    """

    pixels: Tensor
    alpha: Image.Image | None = None
    profile: bytes = b""
    scale: int = 1
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, image: Image.Image, scale: int, name: str = "the image") -> Picture:
        """Take an opened image, to be enlarged by ``scale``; errors call it ``name``.

        Raises
        ------
        DataError
            If it is too large, or of a kind whose values would be lost.
        """
        _refuse(image, name, scale)
        notes: list[str] = []
        upright = ImageOps.exif_transpose(image)
        if upright.size != image.size or image.getexif().get(0x0112, 1) != 1:
            notes.append("turned upright as its EXIF orientation says")
        profile = image.info.get("icc_profile") or b""
        if profile and profile[16:20] != b"RGB ":
            notes.append("its colour profile is not one of RGB and is left out")
            profile = b""
        elif profile:
            notes.append(f"values are restored as stored, in the profile {_described(profile)!r}, "
                         "which is kept")
        colours, alpha = upright, None
        if upright.has_transparency_data:
            colours = upright.convert("RGBA")
            alpha = colours.getchannel("A")
            notes.append("alpha is enlarged by bicubic interpolation" if scale > 1
                         else "alpha is kept")
        elif upright.mode not in ("RGB", "YCbCr"):
            notes.append("restored as RGB")
        values = torch.from_numpy(np.array(colours.convert("RGB"))).permute(2, 0, 1)[None]
        return cls(pixels=values.float() / 127.5 - 1, alpha=alpha, profile=profile, scale=scale,
                   notes=tuple(notes))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the restored image."""
        height, width = self.pixels.shape[2:]
        return width * self.scale, height * self.scale

    def restored(self, output: Tensor) -> Image.Image:
        """Image of T(x), (3, s*h, s*w): clamped to [-1, 1], 8-bit, with alpha and profile.

        Raises
        ------
        DataError
            If a value is not finite.
        """
        if not output.isfinite().all():
            raise DataError("the map's output is not finite", hint="take another record")
        image = Image.fromarray(to_bytes(output[None])[0])
        if self.alpha is not None:
            image.putalpha(self.alpha.resize(image.size, Image.Resampling.BICUBIC))
        if self.profile:
            image.info["icc_profile"] = self.profile
        return image


def read_picture(path: Path | str, scale: int) -> Picture:
    """Read an image file.

    Raises
    ------
    CorruptFile
        If it is damaged or no image.
    DataError
        If it cannot be read, is too large, or of a kind whose values would be lost.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise DataError(f"there is no image file {path}")
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{path} has {path.stat().st_size:,} bytes; at most {MOST_BYTES:,} "
                            "are read")
        content = path.read_bytes()
        with _opened(content) as image:
            _refuse_depth(content, image, str(path))
            _refuse(image, str(path), scale)
            image.load()
            return Picture.of(image, scale, str(path))
    except PermissionError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except BROKEN as error:
        what = "no image of a known format" if isinstance(error, UnidentifiedImageError) \
            else f"damaged: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        raise CorruptFile(f"{path} is {what}", hint=f"read are {', '.join(READ)}") from error


def _opened(content: bytes) -> Image.Image:
    """Open an image without decoding it; only its header is believed so far."""
    most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # `_refuse` has its own limit
    try:
        return Image.open(io.BytesIO(content), formats=READ)
    finally:
        Image.MAX_IMAGE_PIXELS = most


def _refuse(image: Image.Image, name: str, scale: int) -> None:
    """Refuse what would take too much memory or lose values, by the header alone."""
    width, height = image.size
    if width * height * scale**2 > MOST_PIXELS:
        raise DataError(f"{name} has {width} x {height} pixels; restored it would have "
                        f"{width * height * scale**2 / 1e6:,.0f} million, more than the "
                        f"{MOST_PIXELS / 1e6:,.0f} million that are restored",
                        hint="cut it into parts")
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise DataError(f"{name} has {frames} frames or pages", hint="save one of them as a file")
    if image.mode.startswith(("I", "F")):
        raise DataError(f"{name} has more than 8 bits per value (mode {image.mode}), of which a "
                        "map would see 8", hint="convert it to 8 bits per value")
    if image.mode not in PLAIN:
        raise DataError(f"{name} has colours of mode {image.mode}, which depend on a profile",
                        hint="convert it to sRGB")


def _refuse_depth(content: bytes, image: Image.Image, name: str) -> None:
    """Refuse 16-bit colours, which Pillow would cut to 8 bits in silence."""
    bits = content[24] if image.format == "PNG" else 8
    if image.format == "TIFF":
        bits = max(image.tag_v2.get(BITS_PER_SAMPLE, (8,)))  # type: ignore[attr-defined]
    if image.format == "PPM" and content[:2] in (b"P5", b"P6") and image.mode == "RGB":
        bits = 16 if _largest(content) > 255 else 8
    if bits > 8:
        raise DataError(f"{name} has {bits} bits per value, of which a map would see 8",
                        hint="convert it to 8 bits per value")


def _largest(content: bytes) -> int:
    """Largest value that the header of a PPM file names."""
    words = b" ".join(line.partition(b"#")[0] for line in content[:512].splitlines()).split()
    return int(words[3]) if len(words) > 3 and words[3].isdigit() else 255


def _described(profile: bytes) -> str:
    """What an ICC profile calls itself."""
    from PIL import ImageCms

    try:
        return ImageCms.getProfileDescription(
            ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip() or "unnamed"
    except (ImageCms.PyCMSError, OSError):
        return "unnamed"


def format_of(path: Path, *, alpha: bool = False) -> str:
    """Format that a file name asks for.

    Raises
    ------
    UsageError
        If it is none that is written, or one that has no place for alpha.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"{path}: its suffix {path.suffix!r} names no format that is written",
                         hint=f"one of: {', '.join(FORMATS)}")
    if alpha and kind not in WITH_ALPHA:
        raise UsageError(f"{path}: {kind} has no place for the alpha of the image",
                         hint=f"{path.with_suffix('.png').name}")
    return kind


def write_picture(image: Image.Image, path: Path) -> None:
    """Write an image whole or not at all.

    Raises
    ------
    UsageError
        As `format_of`.
    StoreError
        If the disk refuses.
    """
    kind = format_of(path, alpha=image.mode == "RGBA")
    extra: dict[str, Any] = dict(SAVED.get(kind, {}))
    if image.info.get("icc_profile") and kind != "BMP":
        extra["icc_profile"] = image.info["icc_profile"]
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        image.save(file, kind, **extra)
