"""Checks of what datasets and metrics say about themselves, and of their parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from srbench.conformance import method_metadata as shared
from srbench.conformance.check import Check, Failed, Kind, NotTried
from srbench.errors import MissingDependency, SrbenchError

DIRECTIONS = ("lower", "higher", "target")


@dataclass(frozen=True)
class _Loading:
    """A subject as the checks shared with methods want it: an entry, and a class on demand."""

    entry: Any

    def load(self) -> type[Any]:
        """Import the class; raises `NotTried` where it cannot be."""
        try:
            cls: type[Any] = self.entry.load()
        except Exception as error:  # whatever a plugin's module raises
            raise NotTried(f"it cannot be imported: {error}") from error
        return cls


def loads(subject: Any) -> None:
    """The implementation can be imported and defines all it must."""
    try:
        cls = subject.entry.load()
    except MissingDependency as error:
        raise NotTried(str(error)) from error
    except SrbenchError as error:
        raise Failed(error.message) from error
    abstract = sorted(getattr(cls, "__abstractmethods__", ()))
    if abstract:
        raise Failed(f"{cls.__name__} does not define {', '.join(abstract)}")


def column(subject: Any) -> None:
    """Title, direction and decimals can head a column."""
    info = subject.entry.info
    if not info.title.strip() or "\n" in info.title:
        raise Failed(f"title={info.title!r} is no column header")
    if info.direction not in DIRECTIONS:
        raise Failed(f"direction={info.direction!r} is none of {', '.join(DIRECTIONS)}")
    if isinstance(info.decimals, bool) or not isinstance(info.decimals, int) or info.decimals < 0:
        raise Failed(f"decimals={info.decimals!r} is no number of digits")


def _shared(check: Callable[[Any], object]) -> Callable[[Any], object]:
    def run(subject: Any) -> None:
        check(_Loading(subject.entry))

    return run


def _check(kind: Kind, name: str, what: str, remedy: str,
           run: Callable[[Any], object]) -> Check:
    return Check(name=f"{kind}-{name}", kind=kind, what=what, remedy=remedy, run=run)


def _common(kind: Kind, info: str) -> tuple[Check, ...]:
    """Return the checks of every kind of thing, under names of their own."""
    return (
        _check(kind, "summary", "The summary is one sentence on one line, with a full stop.",
               f"Write {info}(summary=\"What it is, in one sentence.\").",
               _shared(shared.summary)),
        _check(kind, "module-is-light", "Importing the plugin's top module imports no torch, "
               "pandas or pydantic.", f"Keep {info} in the package's __init__.py and the class "
               "in a module that load= names.", _shared(shared.top_module_is_light)),
        _check(kind, "loads", "What load= names can be imported and defines all it must.",
               "Mend the import, or define the methods that are named.", loads),
    )


DATASET = (
    *_common("dataset", "DatasetInfo"),
    _check("dataset", "citation", "The citation is a BibTeX entry with author, title and year.",
           "Give DatasetInfo(citation=\"\"\"@misc{...}\"\"\").", _shared(shared.citation)),
    _check("dataset", "licence", "The licence of the data is named.",
           "Give DatasetInfo(licence=\"CC-BY-4.0\"), or whichever the data has.",
           _shared(shared.licence)),
    _check("dataset", "parameters-typed", "Params is a srbench.Parameters whose fields all have a "
           "type and a default, strict and frozen.", "Write name: type = Field(default, ge=..., "
           "le=...), and leave model_config alone.", _shared(shared.typed)),
    _check("dataset", "parameters-refuse-nonsense", "Unknown parameters, wrong types and changes "
           "after the start are refused.", "Annotate fields with plain types and do not override "
           "validation.", _shared(shared.refuse_nonsense)),
)
METRIC = (
    *_common("metric", "MetricInfo"),
    _check("metric", "heads-a-column", "Title, direction and decimals can head a column.",
           "Give MetricInfo(title=\"PSNR\", direction=\"higher\", decimals=2).", column),
)
