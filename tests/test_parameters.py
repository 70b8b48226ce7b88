"""Parameters of methods, datasets and metrics: strict, bounded, frozen, with presets."""

from __future__ import annotations

import json
from typing import ClassVar, Literal

import pytest
from pydantic import ValidationError

from srbench import Field, Parameters
from srbench.errors import ParameterError, UnknownName


class Params(Parameters):
    iterations: int = Field(10_000, ge=1)
    rate: float = Field(1e-4, gt=0)
    lam: float = Field(1.0, alias="lambda", ge=0)
    warm: bool = False
    kind: Literal["adam", "sgd"] = "adam"
    sizes: tuple[int, ...] = (1, 2)
    note: str | None = None
    presets: ClassVar = {
        "quick": {"iterations": 100, "lambda": 5.0}, "quick@vector": {"iterations": 7},
        "paper": {"lam": 10.0}, "code": {}}


def resolve(preset="code", domain="image", **given) -> Params:
    return Params.resolve(preset, domain, given)


def test_defaults_presets_domains_and_the_user_in_this_order():
    assert resolve().iterations == 10_000
    assert resolve("quick").iterations == 100
    assert resolve("quick", "vector").iterations == 7
    assert resolve("quick", "vector").lam == 5.0
    assert resolve("quick", "sr").iterations == 100
    assert resolve("quick", "vector", iterations=3).iterations == 3
    assert resolve("quick", **{"lambda": 2.0}).lam == 2.0
    assert resolve("paper").lam == 10.0
    assert resolve("paper", **{"lambda": 2.0}).lam == 2.0  # the preset names the field itself


def test_resolving_leaves_the_presets_alone():
    resolve("quick", "vector", iterations=3)
    assert Params.presets["quick"] == {"iterations": 100, "lambda": 5.0}


@pytest.mark.parametrize("preset", ["quik", "quick@vector", ""])
def test_an_unknown_preset(preset):
    with pytest.raises(UnknownName) as caught:
        resolve(preset)
    assert caught.value.kind == "preset"
    assert caught.value.hint == "known: code, paper, quick"


def test_a_class_without_presets_takes_any():
    class Plain(Parameters):
        dim: int = 3

    assert Plain.resolve("paper", "vector", {}) == Plain.resolve("quick", "image", {"dim": 3})


@pytest.mark.parametrize(("key", "value"), [
    ("iterations", True), ("iterations", "3"), ("iterations", 3.0), ("iterations", 0),
    ("iterations", None), ("rate", "1e-4"), ("rate", True), ("rate", 0.0), ("rate", -1),
    ("rate", float("nan")), ("lambda", -0.5), ("warm", 1), ("warm", "true"), ("kind", "Adam"),
    ("kind", 1), ("sizes", 3), ("note", 3)])
def test_nothing_is_bent_into_the_wanted_type(key, value):
    with pytest.raises(ParameterError) as caught:
        resolve(**{key: value})
    assert f"{key}={value!r}: " in caught.value.message
    assert caught.value.exit_code == 2
    assert "srbench info" in caught.value.hint


@pytest.mark.parametrize(("key", "value"), [
    ("rate", 3), ("lambda", 0), ("iterations", 1), ("warm", True), ("kind", "sgd"),
    ("sizes", (4, 5)), ("note", "x"), ("note", None), ("rate", float("inf"))])
def test_what_is_acceptable(key, value):
    params = resolve(**{key: value})
    assert params.public()[key] == (list(value) if isinstance(value, tuple) else value)


def test_a_whole_number_for_a_float_becomes_a_float():
    assert type(resolve(rate=3).rate) is float
    assert json.dumps(resolve(rate=3).public()) == json.dumps(resolve(rate=3.0).public())


def test_every_wrong_value_is_named_at_once():
    with pytest.raises(ParameterError) as caught:
        resolve(iterations=0, rate=-1.0, **{"lambda": "x"})
    for part in ("iterations=0", "rate=-1.0", "lambda='x'"):
        assert part in caught.value.message
    assert caught.value.message.count("; ") == 2
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(("key", "guess"), [
    ("iteration", "did you mean 'iterations'"), ("lambd", "did you mean 'lambda'"),
    ("lam", "did you mean 'lambda'"), ("presets", None), ("zzz", None)])
def test_an_unknown_key(key, guess):
    with pytest.raises(UnknownName) as caught:
        resolve(**{key: 1})
    assert f"no parameter named {key!r}" in caught.value.message
    assert "known: iterations, kind, lambda" in caught.value.hint
    if guess:
        assert guess in caught.value.message


def test_parameters_are_frozen():
    params = resolve()
    with pytest.raises(ValidationError, match="frozen"):
        params.iterations = 3
    assert params.iterations == 10_000


def test_public_names_are_those_users_type():
    assert Params.public_names()["lambda"] == "lam"
    assert "lam" not in Params.public_names()
    assert resolve(**{"lambda": 3.0}).public() == {
        "iterations": 10_000, "rate": 1e-4, "lambda": 3.0, "warm": False, "kind": "adam",
        "sizes": [1, 2], "note": None}


@pytest.mark.parametrize("given", [{}, {"lambda": 0.1}, {"rate": float("inf")}, {"sizes": (3,)}])
def test_public_values_lead_back_to_the_same_parameters(given):
    params = resolve("quick", **given)
    assert Params.model_validate_json(json.dumps(params.public())) == params


def test_a_wrong_default_or_preset_is_found_when_it_is_used():
    class Wrong(Parameters):
        steps: int = Field(0, ge=1)
        presets: ClassVar = {"quick": {"steps": 3}, "paper": {"steps": "many"},
                             "code": {"stepz": 1}}

    assert Wrong.resolve("quick", "image", {}).steps == 3
    with pytest.raises(ParameterError, match="steps='many'"):
        Wrong.resolve("paper", "image", {})
    with pytest.raises(ParameterError, match="stepz=1"):
        Wrong.resolve("code", "image", {})
    with pytest.raises(ParameterError, match="steps=0"):
        Wrong.resolve("code", "image", {"steps": 0})


class Conditional(Parameters):
    """Presets that depend on a text parameter, as `ots` has them on photographs."""

    steps: int = 1
    refresh: int = 0
    cost: Literal["mse", "vgg", "other"] = "mse"
    lam: float = Field(1.0, alias="lambda")
    presets: ClassVar = {
        "paper": {"steps": 10}, "paper@sr": {"refresh": 25}, "paper@sr[cost=vgg]": {"refresh": 20},
        "code": {}, "code@sr": {"steps": 7, "cost": "vgg"},
        "code@sr[cost=vgg]": {"lambda": 5.0}, "code@sr[cost=mse]": {"lam": 3.0},
        "quick": {}, "quick@sr[cost=mse]": {"steps": 99}}


@pytest.mark.parametrize(("preset", "domain", "given", "expected"), [
    ("paper", "sr", {}, (10, 25, "mse", 1.0)),
    ("paper", "sr", {"cost": "vgg"}, (10, 20, "vgg", 1.0)),
    ("paper", "sr", {"cost": "other"}, (10, 25, "other", 1.0)),
    ("paper", "sr", {"cost": "vgg", "refresh": 3}, (10, 3, "vgg", 1.0)),  # the user wins
    ("paper", "image", {"cost": "vgg"}, (10, 0, "vgg", 1.0)),  # another domain
    ("code", "sr", {}, (7, 0, "vgg", 5.0)),  # the preset's own value counts
    ("code", "sr", {"cost": "mse"}, (7, 0, "mse", 3.0)),  # but the user's before it
    ("code", "sr", {"lambda": 2.0}, (7, 0, "vgg", 2.0)),
    ("quick", "sr", {}, (99, 0, "mse", 1.0)),  # so does the default
    ("quick", "sr", {"cost": "vgg"}, (1, 0, "vgg", 1.0)),
    ("quick", "vector", {}, (1, 0, "mse", 1.0))])
def test_presets_that_depend_on_another_value(preset, domain, given, expected):
    found = Conditional.resolve(preset, domain, given)
    assert (found.steps, found.refresh, found.cost, found.lam) == expected
    again = Conditional.model_validate_json(json.dumps(found.public()))
    assert again == found


def test_conditions_make_no_names():
    for name in ("paper@sr[cost=vgg]", "paper[cost=vgg]", "paper@sr"):
        with pytest.raises(UnknownName) as caught:
            Conditional.resolve(name, "sr", {})
        assert caught.value.hint == "known: code, paper, quick"
    with pytest.raises(UnknownName, match="no parameter named 'coost'; did you mean 'cost'"):
        Conditional.resolve("paper", "sr", {"coost": "vgg"})
    with pytest.raises(ParameterError, match="cost='perp'"):
        Conditional.resolve("paper", "sr", {"cost": "perp"})
