"""The grammar in which methods and datasets are named: ``wgan-gp[lambda=100]``.

::

    specs   := spec ("," spec)*
    spec    := name [ "[" item ("," item)* "]" ]
    item    := key "=" value                  one value
             | key "=" "[" value ("," value)* "]"    a sweep
             | value                          goes on with the sweep of the key before it
    value   := number | true | false | none | "quoted" | 'quoted' | bare

A sweep stands for one spec per value; several sweeps for every combination, the first key slowest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from srbench.errors import SpecError
from srbench.spec.grammar import (
    BARE,
    KEY,
    NAME,
    QUOTED,
    Reader,
    format_value,
    parse_value,
    split_list,
)


@dataclass(frozen=True)
class Spec:
    """One method or dataset with the parameters the user gave.

    Parameters
    ----------
    name : str
        As registered by a plugin.
    given : mapping of str to object
        Scalars (int, float, bool, str or None) by public parameter name.
    """

    name: str
    given: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return label(self.name, self.given)


def parse_specs(texts: Iterable[str]) -> list[Spec]:
    """Parse comma-separated specs and expand their sweeps, in the order they are written.

    Parameters
    ----------
    texts : iterable of str
        One for each time the option was given.

    Returns
    -------
    list of Spec
        Duplicates are kept.

    Raises
    ------
    SpecError
        With the text and the character where it stops making sense.

    Examples
    --------
    >>> [str(spec) for spec in parse_specs(["ots,wgan-gp[lambda=[0,1e5]]"])]
    ['ots', 'wgan-gp[lambda=0]', 'wgan-gp[lambda=100000]']
    """
    specs = []
    for text in texts:
        for part in split_list(text):
            reader = Reader(part)
            name, sweeps = _spec(reader)
            specs += _combinations(name, sweeps)
    return specs


def parse_settings(texts: Iterable[str]) -> dict[str, dict[str, object]]:
    """Parse the values of ``--set``: ``name.key=value``, comma-separated or repeated.

    Returns
    -------
    dict
        Values by name, then by key.

    Raises
    ------
    SpecError
        For a part without name, key or value, a sweep, or a key that is set twice.

    Examples
    --------
    >>> parse_settings(["ots.iterations=500,ots.batch=8"])
    {'ots': {'iterations': 500, 'batch': 8}}
    """
    settings: dict[str, dict[str, object]] = {}
    for text in texts:
        for part in split_list(text):
            name, key, value = _setting(part)
            if key in settings.setdefault(name, {}):
                raise SpecError(f"{name}.{key} is set twice: "
                                f"{format_value(settings[name][key])} and {format_value(value)}",
                                hint="keep one of them")
            settings[name][key] = value
    return settings


def expand(spec: Spec, sweep: Mapping[str, Sequence[object]]) -> list[Spec]:
    """Add a default sweep for the keys the user did not give.

    Parameters
    ----------
    spec : Spec
        What the user asked for.
    sweep : mapping of str to sequence
        `MethodInfo.sweep`.

    Returns
    -------
    list of Spec
        In the order of the sweep's values, the first key slowest.
    """
    missing = {key: list(values) for key, values in sweep.items() if key not in spec.given}
    return _combinations(spec.name, {**{k: [v] for k, v in spec.given.items()}, **missing})


def label(name: str, given: Mapping[str, object]) -> str:
    """Canonical text of a spec, keys in alphabetical order and numbers as the paper prints them.

    Raises
    ------
    SpecError
        If a value is not a scalar.

    Examples
    --------
    >>> label("wgan-gp", {"lambda": 1e5})
    'wgan-gp[lambda=100000]'
    """
    if not given:
        return name
    return f"{name}[{','.join(f'{key}={format_value(given[key])}' for key in sorted(given))}]"


def _spec(reader: Reader) -> tuple[str, dict[str, list[object]]]:
    """One spec to the end of the text."""
    name = reader.match(NAME)
    if name is None:
        raise reader.fail(f"expected a name ({NAME.pattern})")
    sweeps: dict[str, list[object]] = {}
    if reader.take("["):
        key = None
        while True:
            key = _item(reader, sweeps, key)
            if reader.take("]"):
                break
            if not reader.take(","):
                raise reader.fail("expected ',' or ']'")
    if not reader.done():
        raise reader.fail(f"unexpected {reader.peek()!r}")
    return name, sweeps


def _item(reader: Reader, sweeps: dict[str, list[object]], last: str | None) -> str:
    """One ``key=value`` or a further value of the key before; returns the key."""
    start = reader.at
    key = reader.match(KEY)
    if key is None or not reader.take("="):
        reader.at = start
        if reader.peek() == "=":
            raise reader.fail("a value without a key")
        value = _scalar(reader)
        if last is None:
            raise reader.fail("expected key=value", start)
        _add(reader, sweeps[last], value, start)
        return last
    if key in sweeps:
        raise reader.fail(f"the key {key!r} is given twice", start)
    sweeps[key] = []
    if not reader.take("["):
        sweeps[key].append(_scalar(reader))
        return key
    while True:
        start = reader.at
        _add(reader, sweeps[key], _scalar(reader), start)
        if reader.take("]"):
            return key
        if not reader.take(","):
            raise reader.fail("expected ',' or ']'")


def _scalar(reader: Reader) -> object:
    """One value, quoted or bare."""
    text = reader.match(QUOTED)
    if text is None:
        text = reader.match(BARE)
    if text is None:
        raise reader.fail("expected a value")
    if reader.peek() == "=":
        raise reader.fail("'=' inside a value must be quoted")
    return parse_value(text.strip())


def _add(reader: Reader, values: list[object], value: object, at: int) -> None:
    """Append a value to a sweep that does not have it yet."""
    if format_value(value) in [format_value(other) for other in values]:
        raise reader.fail(f"the value {format_value(value)} is given twice", at)
    values.append(value)


def _combinations(name: str, sweeps: Mapping[str, Sequence[object]]) -> list[Spec]:
    """Every combination of the sweeps' values, the first key slowest."""
    return [Spec(name, dict(zip(sweeps, values, strict=True)))
            for values in product(*sweeps.values())]


def _setting(text: str) -> tuple[str, str, object]:
    """Name, key and value of ``name.key=value``."""
    target, equals, rest = text.partition("=")
    name, _, key = target.strip().rpartition(".")
    if not equals:
        raise SpecError(f"cannot read the setting {text!r}",
                        hint="write --set name.key=value; a sweep belongs into the spec")
    if not NAME.fullmatch(name) or not KEY.fullmatch(key):
        raise SpecError(f"cannot read the setting {text!r}: {target.strip()!r} is not name.key",
                        hint="write --set name.key=value")
    if rest.lstrip().startswith("["):
        raise SpecError(f"{text!r} sets several values",
                        hint=f"write the sweep into the spec: {name}[{key}={rest.strip()}]")
    reader = Reader(text, len(target) + 1)
    value = _scalar(reader)
    if not reader.done():
        raise reader.fail(f"unexpected {reader.peek()!r}")
    return name, key, value
