"""Every error srbench raises on purpose.

::

    SrbenchError                   exit 1   a message, and a hint that mends it
    ├── UsageError                 exit 2   what the user typed cannot be done
    │   ├── UnknownName                     no method, dataset, metric or preset of that name
    │   ├── SpecError                       a spec that does not follow the grammar
    │   └── ParameterError                  an unknown parameter or a value out of its bounds
    ├── PluginError                exit 2   a plugin that cannot be used
    ├── DataError                  exit 1   data that cannot be used
    │   ├── DownloadError                   a file that cannot be fetched
    │   └── CorruptFile                     a file whose content is not what it must be
    ├── MissingWeights             exit 1   pretrained weights that are not on this machine
    ├── MissingDependency          exit 1   an optional package that is not installed
    ├── StoreError                 exit 1   a record or checkpoint that cannot be written or read
    ├── RankFailure                exit 1   processes of one training that are not at one
    ├── Skipped                    exit 3   a cell that makes no sense, with the reason
    ├── Diverged                   exit 3   a training whose loss or gradient is not finite
    └── Interrupted                exit 130 stopped by the user, work saved
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class SrbenchError(Exception):
    """Base of all errors srbench raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong, with the value that is wrong.
    hint : str
        The command or setting that mends it; empty where nothing can be said.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(SrbenchError):
    """What the user typed cannot be done."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that nothing installed answers to; the message carries the nearest known names.

    Parameters
    ----------
    kind : str
        What was looked for, in the singular: ``"method"``, ``"dataset"``, ``"parameter of ots"``.
    name : str
        The name that was given.
    known : iterable of str
        The names that would have been accepted.
    hint : str
        Replaces the generated list of known names.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        names = sorted(known)
        close = get_close_matches(name, names, n=1, cutoff=0.5)
        guess = f"; did you mean {close[0]!r}?" if close else ""
        listing = f"known: {', '.join(names)}" if names else "there are none"
        super().__init__(f"no {kind} named {name!r}{guess}", hint=hint or listing)
        self.kind, self.name = kind, name


class SpecError(UsageError):
    """A spec that does not follow the grammar ``name[key=value,...]``."""


class ParameterError(UsageError):
    """An unknown parameter, or a value of the wrong type or out of its bounds."""


class PluginError(SrbenchError):
    """A plugin that cannot be used."""

    exit_code = 2


class DataError(SrbenchError):
    """Data that cannot be used."""


class DownloadError(DataError):
    """A file that cannot be fetched."""


class CorruptFile(DataError):
    """A file whose content is not what it must be."""


class MissingWeights(SrbenchError):
    """Pretrained weights that are not on this machine; the hint is the command that gets them."""


class MissingDependency(SrbenchError):
    """An optional package that is not installed; the hint is the command that installs it."""


class StoreError(SrbenchError):
    """A record or checkpoint that cannot be written or read."""


class RankFailure(SrbenchError):
    """A training in several processes of which one is gone, silent, or of another opinion."""


class Skipped(SrbenchError):
    """Raised by a method or dataset for a combination that makes no sense, with the reason."""

    exit_code = 3


class Diverged(SrbenchError):
    """A training whose loss or gradient is not finite."""

    exit_code = 3


class Interrupted(SrbenchError):
    """Stopped by the user; everything up to the last step is saved."""

    exit_code = 130
