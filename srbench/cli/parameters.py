"""Parameters of an implementation, as rows for people and as JSON data."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from srbench.api.parameters import Parameters

BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "multiple_of": "multiple of",
          "min_length": "length >=", "max_length": "length <="}


def parameter_rows(params: type[Parameters]) -> list[dict[str, Any]]:
    """Describe each parameter by its public name.

    Parameters
    ----------
    params : type of Parameters
        The ``Params`` of a method or dataset.

    Returns
    -------
    list of dict
        ``name``, ``type``, ``default`` (JSON data), ``required``, ``bounds``, ``description`` and
        ``presets``: the values of the presets that set it.
    """
    rows = []
    for public, name in params.public_names().items():
        field = params.model_fields[name]
        # A preset may use either name of a parameter that has two.
        presets = {preset: _plain(values.get(public, values.get(name)))
                   for preset, values in params.presets.items()
                   if public in values or name in values}
        rows.append({
            "name": public, "type": type_words(field.annotation),
            "default": None if field.is_required() else _plain(field.get_default(
                call_default_factory=True)),
            "required": field.is_required(), "bounds": bounds_words(field),
            "description": field.description or "", "presets": presets})
    return rows


def type_words(annotation: Any) -> str:
    """Words for a type: ``int``, ``float or none``, ``adam or rmsprop``."""
    origin = get_origin(annotation)
    if annotation is None or annotation is type(None):
        return "none"
    if origin is Literal:
        return " or ".join(str(value) for value in get_args(annotation))
    if origin in (Union, types.UnionType):
        return " or ".join(type_words(part) for part in get_args(annotation))
    if origin is None and isinstance(annotation, type):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def bounds_words(field: FieldInfo) -> str:
    """Words for the bounds of a field: ``> 0, <= 1``."""
    return ", ".join(f"{words} {getattr(item, key):g}" if isinstance(getattr(item, key), float)
                     else f"{words} {getattr(item, key)}"
                     for item in field.metadata for key, words in BOUNDS.items()
                     if getattr(item, key, None) is not None)


def _plain(value: Any) -> Any:
    """JSON data for a default."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value)
