"""One named check, what it is run on, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

Kind = Literal["method", "dataset", "metric", "plugin"]


class Verdict(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    WARNED = "warning"
    """What should not be, but harms no comparison."""
    NOT_TRIED = "not tried"
    """The check does not apply, or something it needs is not on this machine."""


class Failed(AssertionError):
    """Raised by a check with what was seen: the thing, the value, and what it must be."""


class NotTried(Exception):
    """Raised by a check that cannot be run, with the reason."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A promise of a plugin that can be tried.

    Parameters
    ----------
    name : str
        ``"resume-is-exact"``: what holds when it passes; unique among all checks.
    kind : {"method", "dataset", "metric", "plugin"}
        What it is run on.
    what : str
        One sentence: what must hold.
    remedy : str
        One sentence: what the author changes when it does not.
    run : callable
        Takes the subject; returns when the promise is kept, raises `Failed` or `NotTried`
        otherwise. Whatever else it raises is a failure too.
    warning : bool
        A failure is a warning only.
    scope : {"plugin", "problem"}
        ``"problem"``: run on each problem a method is tried on, vectors, images and photographs.
    """

    name: str
    kind: Kind
    what: str
    remedy: str
    run: Callable[[Any], object]
    warning: bool = False
    scope: Literal["plugin", "problem"] = "plugin"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one check on one plugin.

    Parameters
    ----------
    check, kind, subject : str
        Name of the check, kind and name of what it was run on.
    verdict : Verdict
        How it ended.
    detail : str
        What was seen, empty where it passed.
    remedy : str
        What to do about it, empty where it passed.
    seconds : float
        How long it took.
    """

    check: str
    kind: Kind
    subject: str
    verdict: Verdict
    detail: str = ""
    remedy: str = ""
    seconds: float = 0.0
