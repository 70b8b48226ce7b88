"""The schema of ``leaderboards/NAME.toml``, and what is said of a file that breaks it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

Text = Annotated[str, StringConstraints(min_length=1, max_length=10_000, pattern=r"\S")]
Preset = Literal["quick", "paper", "code"]
SHOWN = 80  # characters of a wrong value in a message


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PublishedTable(_Table):
    """A ``[[published]]`` table."""

    label: Text = Field(description="the method's label, as in label = \"ots\"")
    metric: Text = Field(description="the metric's name, as in metric = \"l2-uvp\"")
    dataset: str = Field("", description="one of the board's datasets")
    value: float = Field(allow_inf_nan=False, description="a number, as in value = 1.4")
    tolerance: float = Field(ge=0, allow_inf_nan=False,
                             description="an absolute one in the metric's unit, as in 0.2")
    source: Text = Field(description="where it was published, as in source = \"Table 2\"")


class ScenesTable(_Table):
    """The ``[scenes]`` table."""

    count: int | None = Field(None, ge=1, le=64, description="a whole number from 1 to 64")


class BoardFile(_Table):
    """The whole file."""

    title: Text = Field(description="a few words, as in title = \"W2 early\"")
    summary: str = Field("", description="a sentence or two")
    preset: Preset = Field(description='preset = "quick", "paper" or "code"')
    datasets: list[Text] = Field(min_length=1, description="titles of datasets as records have "
                                 "them, as in datasets = [\"w2-early@embedded\"]")
    source: str = Field("", description='where the data must be from, as in source = "official"')
    methods: Annotated[list[Text], BeforeValidator(lambda given: [] if given == "all" else given)
                       ] = Field(default_factory=list, description='"all", or names or labels, '
                                 'as in methods = ["ots", "wgan-gp"]')
    columns: list[Text] = Field(default_factory=list, description="names of metrics, the ranking "
                                "one first, as in columns = [\"l2-uvp\", \"psnr\"]")
    rank: str = Field("", description="the one of datasets on which the first metric ranks")
    reference: str = Field("", description='the label of a method, as in reference = "identity"')
    published: list[PublishedTable] = Field(default_factory=list,
                                            description="tables, each under [[published]]")
    scenes: ScenesTable = Field(default_factory=ScenesTable, description="a table [scenes]")
    command: str = Field("", description="the command that makes the records")
    cite: list[Text] = Field(default_factory=list, description="BibTeX entries, each a text")

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        """Names that must be among others are, and nothing is said twice."""
        for key in ("datasets", "columns", "methods", "cite"):
            if twice := _repeated(getattr(self, key)):
                raise ValueError(f"{key} has {twice[0]!r} twice | keep one of them")
        if self.rank and self.rank not in self.datasets:
            raise ValueError(f"rank is {self.rank!r}, which is not one of datasets"
                             + _guess(self.rank, self.datasets))
        for number, value in enumerate(self.published, 1):
            self._check_published(f"published[{number}]", value)
        twice = _repeated((value.label, value.metric, value.dataset) for value in self.published)
        if twice:
            raise ValueError(f"published has two values of {twice[0][1]!r} for {twice[0][0]!r} | "
                             "keep one of them")
        return self

    def _check_published(self, where: str, value: PublishedTable) -> None:
        if not value.dataset and len(self.datasets) > 1:
            raise ValueError(f"{where}.dataset is missing ({value.label!r}, {value.metric!r}) | "
                             f"the board has {len(self.datasets)} datasets: say which one, as in "
                             f'dataset = "{self.datasets[0]}"')
        if value.dataset and value.dataset not in self.datasets:
            raise ValueError(f"{where}.dataset is {value.dataset!r}, which is not one of datasets"
                             + _guess(value.dataset, self.datasets))


def sentences(error: ValidationError) -> list[tuple[str, str]]:
    """What is wrong with a file and what mends it, fault by fault.

    Returns
    -------
    list of (str, str)
        Message with key and value, and remedy. ``published[2]`` is the second such table.
    """
    # A key that is misspelt is also missing: the first is what mends both.
    faults = sorted(error.errors(include_url=False),
                    key=lambda fault: fault["type"] != "extra_forbidden")
    return [_sentence(fault["loc"], fault) for fault in faults]


def _sentence(loc: Sequence[int | str], fault: Any) -> tuple[str, str]:
    kind, path = fault["type"], _path(loc)
    if kind == "value_error" and not loc:
        message, _, remedy = fault["msg"].removeprefix("Value error, ").partition(" | ")
        return message, remedy
    model, field = _model(loc[:-1]), str(loc[-1])
    if kind == "extra_forbidden":
        known = list(model.model_fields)
        close = get_close_matches(field, known, n=1, cutoff=0.5)
        guess = f"; did you mean {close[0]!r}?" if close else ""
        return (f"unknown key {path!r} (its value is {_short(fault['input'])}){guess}",
                f"known keys: {', '.join(known)}")
    wanted = _wanted(loc)
    if kind == "missing":
        return f"the key {path!r} is missing", f"add it: {wanted}"
    return f"{path} is {_short(fault['input'])}: {fault['msg'].lower()}", f"it must be {wanted}"


def _wanted(loc: Sequence[int | str]) -> str:
    """Description of the field that a fault lies in."""
    names = [part for part in loc if isinstance(part, str)]
    field = _model(loc[:-1]).model_fields.get(names[-1]) or BoardFile.model_fields[names[0]]
    return field.description or ""


def _model(loc: Sequence[int | str]) -> type[BaseModel]:
    first = loc[0] if loc else ""
    inner: dict[object, type[BaseModel]] = {"published": PublishedTable, "scenes": ScenesTable}
    return inner.get(first, BoardFile)


def _path(loc: Iterable[int | str]) -> str:
    """``published[2].value``: counted from 1, as people count tables."""
    return "".join(_parts(loc))


def _parts(loc: Iterable[int | str]) -> Iterator[str]:
    for index, part in enumerate(loc):
        yield f"[{part + 1}]" if isinstance(part, int) else f".{part}" if index else part


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN - 3]}..."


def _repeated(values: Iterable[Any]) -> list[Any]:
    """Values that occur more than once."""
    return [value for value, count in Counter(values).items() if count > 1]


def _guess(value: str, known: Sequence[str]) -> str:
    """The end of a message about a value that must be among others, and the remedy."""
    close = get_close_matches(value, known, n=1, cutoff=0.5)
    return (f"; did you mean {close[0]!r}?" if close else "") + f" | datasets: {', '.join(known)}"
