"""Exit codes of the command line."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command tells the shell that ran it."""

    OK = 0
    """Everything that was asked for was done."""
    FAILURE = 1
    """Something outside the cells failed, or a bug in srbench."""
    USAGE = 2
    """A wrong word on the command line: option, name, setting, or a plugin that is needed."""
    CELLS = 3
    """Finished, but some cells are not ok; for ``doctor``: a plugin is broken."""
    NOTHING = 4
    """Nothing matched: no records, an empty plan."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C; the records so far are safe."""
