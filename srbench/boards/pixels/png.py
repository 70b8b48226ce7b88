"""PNG files whose bytes depend on the pixels alone, on every machine.

What zlib makes of the same data differs between its builds and versions, so pages that are rebuilt
elsewhere would differ. This writer is whole-number arithmetic only: row filters by the usual
heuristic, runs of one byte, and one Huffman code per image. Photographs come out as large as
zlib's, since repetitions other than runs are rare in them.

Source: RFC 1951 (DEFLATE), RFC 2083 (PNG).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LONGEST_RUN = 258
END = 256  # symbol that closes a block
STORED = 65_535  # bytes of a block that is not compressed
_RUN_BASE = [*range(3, 11), 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
             163, 195, 227, 258]  # shortest run of the symbols 257, 258, ...
_RUN_BITS = [0] * 8 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [5] * 4 + [0]
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]


def encode_rgb(pixels: Bytes) -> bytes:
    """PNG of an 8-bit RGB image of shape (h, w, 3).

    Raises
    ------
    ValueError
        If the array is not of that shape and type, or empty.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ValueError(f"{pixels.dtype} pixels of shape {pixels.shape} are not 8-bit (h, w, 3)")
    height, width = pixels.shape[:2]
    return _file(width, height, 2, (), _filtered(pixels))


def encode_indexed(indices: Bytes, palette: Sequence[tuple[int, int, int]]) -> bytes:
    """PNG of an image of shape (h, w) whose pixels are places in a palette; 0 is transparent.

    Raises
    ------
    ValueError
        If an index has no colour, or there are more than 256.
    """
    if indices.ndim != 2 or not 0 < len(palette) <= 256 or int(indices.max()) >= len(palette):
        raise ValueError(f"{indices.shape} pixels with {len(palette)} colours are no indexed image")
    height, width = indices.shape
    chunks = ((b"PLTE", bytes(part for colour in palette for part in colour)), (b"tRNS", b"\0"))
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = indices
    return _file(width, height, 3, chunks, rows.ravel())


def plain_chunks(content: bytes) -> bool:
    """Whether a PNG file holds its image and nothing else: no text, no profile, no animation."""
    place, names = len(SIGNATURE), []
    while place + 8 <= len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        names.append(name)
        place += 12 + size
    inner = names[1:-1]
    return (content.startswith(SIGNATURE) and place == len(content) and len(inner) > 0
            and names[0] == b"IHDR" and names[-1] == b"IEND" and set(inner) == {b"IDAT"})


def _file(width: int, height: int, colour: int, chunks: Sequence[tuple[bytes, bytes]],
          data: Bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", compress(data)), (b"IEND", b"")]
    return SIGNATURE + b"".join(
        struct.pack(">I", len(content)) + name + content
        + struct.pack(">I", zlib.crc32(name + content)) for name, content in parts)


def _filtered(pixels: Bytes) -> Bytes:
    """Rows under the filter whose differences are smallest in sum, each behind its number."""
    height, width = pixels.shape[:2]
    here = pixels.astype(np.int64)
    left, up, corner = np.zeros_like(here), np.zeros_like(here), np.zeros_like(here)
    left[:, 1:], up[1:], corner[1:, 1:] = here[:, :-1], here[:-1], here[:-1, :-1]
    guess = left + up - corner
    near = [abs(guess - side) for side in (left, up, corner)]
    paeth = np.where((near[0] <= near[1]) & (near[0] <= near[2]), left,
                     np.where(near[1] <= near[2], up, corner))
    kinds = np.stack([here, here - left, here - up, here - (left + up) // 2, here - paeth])
    rows = (kinds & 255).astype(np.uint8).reshape(5, height, 3 * width)
    best = abs(rows.view(np.int8).astype(np.int64)).sum(2).argmin(0)
    return np.concatenate([best.astype(np.uint8)[:, None], rows[best, np.arange(height)]],
                          axis=1).ravel()


def compress(data: Bytes) -> bytes:
    """Zlib stream of bytes, deterministic; not compressed where that is shorter."""
    coded = _coded(data)
    content = data.tobytes()
    plain = b"".join(
        struct.pack("<BHH", start + STORED >= len(content), len(part), len(part) ^ STORED) + part
        for start in range(0, len(content), STORED)
        for part in [content[start:start + STORED]])
    body = coded if len(coded) < len(plain) else plain
    return b"\x78\x01" + body + struct.pack(">I", zlib.adler32(content))


def _coded(data: Bytes) -> bytes:
    """One block under its own Huffman code."""
    symbols, extra, width = _symbols(data)
    counts = np.bincount(symbols, minlength=286)
    used = 1 + int(np.flatnonzero(counts).max())
    lengths = code_lengths([int(count) for count in counts[:used]], 15)
    head_lengths = [*lengths, int(used > 257)]  # one code for the only distance of runs, 1
    short = code_lengths([head_lengths.count(length) for length in range(19)], 7)
    kept = max(4, 1 + max(place for place, name in enumerate(_ORDER) if short[name]))
    head = [(1, 1), (2, 2), (used - 257, 5), (0, 5), (kept - 4, 4)]
    head += [(short[name], 3) for name in _ORDER[:kept]]
    short_codes = _codes(short)
    head += [(short_codes[length], short[length]) for length in head_lengths]
    codes, sizes = np.array(_codes(lengths)), np.array(lengths)
    run = symbols > END
    # Code, extra bits, and one zero bit for the distance of a run.
    values = codes[symbols] | (extra << sizes[symbols])
    widths = sizes[symbols] + width + run
    front = np.array(head)
    return _packed(np.concatenate([front[:, 0], values]), np.concatenate([front[:, 1], widths]))


def _symbols(data: Bytes) -> tuple[Numbers, Numbers, Numbers]:
    """Literals and runs at distance 1: symbols, their extra bits, and how many of these."""
    starts = np.flatnonzero(np.concatenate([[True], data[1:] != data[:-1]]))
    lengths = np.diff(np.concatenate([starts, [len(data)]]))
    symbols: list[int] = []
    extra: list[tuple[int, int]] = []  # place, value
    for value, length in zip(data[starts].tolist(), lengths.tolist(), strict=True):
        symbols.append(value)
        rest = length - 1
        while rest >= 3:
            step = min(rest, LONGEST_RUN)
            kind = max(place for place, base in enumerate(_RUN_BASE) if base <= step)
            extra.append((len(symbols), step - _RUN_BASE[kind]))
            symbols.append(END + 1 + kind)
            rest -= step
        symbols += [value] * rest
    symbols.append(END)
    numbers, bits = np.array(symbols), np.zeros(len(symbols), np.int64)
    for place, number in extra:
        bits[place] = number
    return numbers, bits, np.array([0] * 257 + _RUN_BITS)[numbers]


def code_lengths(counts: Sequence[int], most: int) -> list[int]:
    """Lengths of an optimal prefix code with words of at most ``most`` bits (package-merge).

    A symbol that does not occur has length 0; an only symbol has length 1.

    Source: Larmore and Hirschberg (1990), A fast algorithm for optimal length-limited Huffman
    codes.
    """
    lengths = [0] * len(counts)
    single: list[tuple[int, tuple[int, ...]]] = sorted(
        (count, (symbol,)) for symbol, count in enumerate(counts) if count)
    if len(single) == 1:
        lengths[single[0][1][0]] = 1
        return lengths
    packages = single
    for _ in range(most - 1):
        pairs = [(packages[i][0] + packages[i + 1][0], packages[i][1] + packages[i + 1][1])
                 for i in range(0, len(packages) - 1, 2)]
        packages = sorted(single + pairs)
    for _, members in packages[:2 * len(single) - 2]:
        for symbol in members:
            lengths[symbol] += 1
    return lengths


def _codes(lengths: Sequence[int]) -> list[int]:
    """Canonical code words, their bits turned around as a stream wants them."""
    code, words = 0, [0] * len(lengths)
    for size in range(1, max(lengths) + 1):
        for symbol, length in enumerate(lengths):
            if length == size:
                words[symbol] = int(f"{code:0{size}b}"[::-1], 2)
                code += 1
        code <<= 1
    return words


def _packed(values: Numbers, widths: Numbers) -> bytes:
    """Numbers of given widths in bits one behind the other, lowest bit first."""
    total = np.repeat(values, widths)
    first = np.repeat(np.cumsum(widths) - widths, widths)
    bits: Any = (total >> (np.arange(len(total)) - first)) & 1
    return np.packbits(bits.astype(np.uint8), bitorder="little").tobytes()
