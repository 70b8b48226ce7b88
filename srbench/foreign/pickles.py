"""Pickles looked at before they are read: what they may ask of the memory, by their opcodes.

An unpickler that knows few names runs no code, yet a few bytes can still make it claim gigabytes:
the index of a memo entry is the size of a table.
"""

from __future__ import annotations

import pickletools
from pickle import UnpicklingError

MOST_OPERATIONS = 1_000_000
LARGEST_MEMO = 100_000
_REMEMBERS = {"PUT", "BINPUT", "LONG_BINPUT"}
_REFUSED = {"EXT1", "EXT2", "EXT4", "INST", "OBJ", "NEWOBJ_EX", "NEXT_BUFFER", "READONLY_BUFFER"}


def check_program(content: bytes) -> None:
    """Look through a pickle without running it.

    Raises
    ------
    UnpicklingError
        If it is damaged, or uses an opcode, a memo index or a number of operations that no file
        of arrays needs.
    """
    try:
        for count, (opcode, argument, place) in enumerate(pickletools.genops(content)):
            if count >= MOST_OPERATIONS:
                raise UnpicklingError(f"it has more than {MOST_OPERATIONS:,} operations")
            if opcode.name in _REFUSED:
                raise UnpicklingError(f"it uses {opcode.name} at byte {place}")
            if opcode.name in _REMEMBERS and not 0 <= (argument or 0) < LARGEST_MEMO:
                raise UnpicklingError(f"it remembers an entry {argument:,} at byte {place}")
    except (ValueError, OverflowError) as error:
        raise UnpicklingError(f"it is damaged: {error}") from error
