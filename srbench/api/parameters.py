"""Parameters of methods, datasets and metrics: typed, bounded, frozen, with presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from srbench.errors import ParameterError, UnknownName

PRESETS = ("quick", "paper", "code")


class Parameters(BaseModel):
    """Base class of every ``Params``; subclass it with pydantic fields.

    ``presets`` maps a preset's name to the values it sets. A key ``"quick@vector"`` adds to
    ``"quick"`` on problems of that domain (`Problem.domain`), and ``"paper@sr[cost=vgg]"`` to both
    where the text parameter ``cost`` is ``"vgg"``. A field named like a Python keyword
    takes an alias: ``lam: float = Field(1.0, alias="lambda")``.

    Examples
    --------
    >>> class Params(Parameters):
    ...     iterations: int = 10_000
    ...     presets = {"quick": {"iterations": 100}}
    >>> Params.resolve("quick", "image", {}).iterations
    100
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", populate_by_name=True,
                              validate_default=True, ser_json_inf_nan="constants")

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @classmethod
    def resolve(cls, preset: str, domain: str, given: Mapping[str, object]) -> Self:
        """Combine defaults, a preset and what the user gave, and validate the result.

        Parameters
        ----------
        preset : str
            One of the presets of the class. A class without presets accepts any.
        domain : str
            `Problem.domain`; selects the ``"preset@domain"`` values.
        given : mapping
            The user's values by public name; they win.

        Raises
        ------
        UnknownName
            If ``preset`` or a key of ``given`` is unknown.
        ParameterError
            If a value has the wrong type or is out of its bounds.
        """
        names = {name.partition("@")[0] for name in cls.presets}
        if names and preset not in names:
            raise UnknownName("preset", preset, names)
        public = cls.public_names()
        for key in given:
            if key not in public:
                raise UnknownName("parameter", key, public)
        merged = {**cls.presets.get(preset, {}), **cls.presets.get(f"{preset}@{domain}", {})}
        try:
            values = {**merged, **cls._conditional(f"{preset}@{domain}", {**merged, **given}),
                      **given}
            return cls(**{public.get(key, key): value for key, value in values.items()})
        except ValidationError as error:
            raise ParameterError(_sentence(error, {name: key for key, name in public.items()}),
                                 hint="srbench info shows names, types and bounds") from error

    @classmethod
    def _conditional(cls, base: str, values: Mapping[str, object]) -> dict[str, Any]:
        """Return what presets ``"base[name=value]"`` add, given the values chosen so far."""
        defaults = {public: cls.model_fields[name].default
                    for public, name in cls.public_names().items()}
        chosen = {**defaults, **values}
        added: dict[str, Any] = {}
        for key, preset in cls.presets.items():
            start, _, condition = key.removesuffix("]").partition("[")
            name, _, value = condition.partition("=")
            if start == base and condition and str(chosen.get(name)) == value:
                added |= preset
        return added

    @classmethod
    def public_names(cls) -> dict[str, str]:
        """Names users type, mapped to field names (they differ where a field has an alias)."""
        return {field.alias or name: name for name, field in cls.model_fields.items()}

    def public(self) -> dict[str, Any]:
        """Resolved values as JSON data by public name."""
        return self.model_dump(mode="json", by_alias=True)


def _sentence(error: ValidationError, public: Mapping[str, str]) -> str:
    """One sentence for each invalid value by public name: which, what came, what is wanted."""
    parts = []
    for item in error.errors():
        where = ".".join(public.get(str(part), str(part)) for part in item["loc"]) or "parameters"
        parts.append(f"{where}={item['input']!r}: {item['msg']}")
    return "; ".join(parts)
