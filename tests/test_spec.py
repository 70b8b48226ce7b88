"""The grammar of specs, against hand-written expectations and against itself."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srbench.errors import SpecError
from srbench.registry import infos
from srbench.spec import (
    Spec,
    expand,
    format_value,
    label,
    parse_settings,
    parse_specs,
    parse_value,
    split_list,
)
from srbench.spec.grammar import NAME


def test_names_follow_the_rule_of_plugins():
    assert NAME.pattern == infos.NAME.pattern


@pytest.mark.parametrize(("text", "expected"), [
    ("ots", [("ots", {})]),
    ("ots,wgan-gp", [("ots", {}), ("wgan-gp", {})]),
    (" ots , wgan-gp [ lambda = 100 ] ", [("ots", {}), ("wgan-gp", {"lambda": 100})]),
    ("m[a=1,b=x]", [("m", {"a": 1, "b": "x"})]),
    ("m[a=[1,2]]", [("m", {"a": 1}), ("m", {"a": 2})]),
    ("m[a=[1]]", [("m", {"a": 1})]),
    ("mix3tomix10[dim=2,4,8,16]", [("mix3tomix10", {"dim": d}) for d in (2, 4, 8, 16)]),
    ("m[a=1,2,b=x,y]", [("m", {"a": 1, "b": "x"}), ("m", {"a": 1, "b": "y"}),
                        ("m", {"a": 2, "b": "x"}), ("m", {"a": 2, "b": "y"})]),
    ("m[a=[1,2],3]", [("m", {"a": 1}), ("m", {"a": 2}), ("m", {"a": 3})]),
    ("m[path=/data/my set/v1.2]", [("m", {"path": "/data/my set/v1.2"})]),
    ("m[a='x,y]']", [("m", {"a": "x,y]"})]),
    ('m[a="say \\"hi\\"",b=\'\']', [("m", {"a": 'say "hi"', "b": ""})]),
    ("m[a=true,b=FALSE,c=none,d='true',e=-1e3,f=1e3,g=1_000]",
     [("m", {"a": True, "b": False, "c": None, "d": "true", "e": -1e3, "f": 1e3, "g": 1000})]),
])
def test_parses(text, expected):
    specs = parse_specs([text])
    assert [(spec.name, dict(spec.given)) for spec in specs] == expected
    for spec, (_, values) in zip(specs, expected, strict=True):
        assert [type(value) for value in spec.given.values()] == [
            type(value) for value in values.values()]


def test_options_that_are_repeated_add_up_in_order():
    assert [str(s) for s in parse_specs(["a,b[x=[2,1]]", "a"])] == ["a", "b[x=2]", "b[x=1]", "a"]


@pytest.mark.parametrize(("text", "what", "at"), [
    ("", "nothing", 1),
    ("ots,,b", "nothing between commas", 5),
    ("ots,", "nothing between commas", 5),
    ("ots[a=1", "'[' is never closed", 4),
    ("ots[a=[1,2]", "'[' is never closed", 4),
    ("ots]", "']' without '['", 4),
    ("ots[a=1]]", "']' without '['", 9),
    ("ots[]", "expected a value", 5),
    ("ots[=3]", "a value without a key", 5),
    ("ots[3]", "expected key=value", 5),
    ("ots[a=]", "expected a value", 7),
    ("ots[a=[]]", "expected a value", 8),
    ("ots[a=1,]", "expected a value", 9),
    ("ots[a=[1,]]", "expected a value", 10),
    ("ots[a=[[1]]]", "expected a value", 8),
    ("ots[a=1,b=2,a=3]", "the key 'a' is given twice", 13),
    ("ots[a=1,1.0]", "the value 1 is given twice", 9),
    ("ots[a=[x,x]]", "the value x is given twice", 10),
    ("ots[a=b=c]", "'=' inside a value must be quoted", 8),
    ('ots[a="x]', "expected a value", 7),
    ("ots[a=1]b", "unexpected 'b'", 9),
    ("ots[a=[1]b]", "expected ',' or ']'", 10),
    ("ots[a='x'y]", "expected ',' or ']'", 10),
    ("Ots", "expected a name", 1),
    ("ots gan", "unexpected 'g'", 5),
])
def test_says_where_a_spec_stops_making_sense(text, what, at):
    with pytest.raises(SpecError) as caught:
        parse_specs([text])
    assert what in caught.value.message
    assert repr(text) in caught.value.message
    assert caught.value.message.endswith(f"at character {at}")
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_a_list_is_split_only_outside_brackets_and_quotes():
    assert split_list("a, b[x=1,y=[2,3]] ,c") == ["a", "b[x=1,y=[2,3]]", "c"]
    assert split_list("s.path='x,y',t.z=1") == ["s.path='x,y'", "t.z=1"]


@pytest.mark.parametrize(("value", "text"), [
    # The sweep of the paper, as its tables print it.
    (0, "0"), (0.1, "0.1"), (100, "100"), (1000, "1000"), (100000, "100000"), (1e5, "100000"),
    (0.0, "0"), (-0.0, "0"), (-2.5, "-2.5"), (1e-5, "1e-5"), (2.5e-07, "2.5e-7"), (1e22, "1e22"),
    (1.5e300, "1.5e300"), (math.inf, "inf"), (-math.inf, "-inf"), (True, "true"), (None, "none"),
    ("adam", "adam"), ("true", '"true"'), ("10", '"10"'), ("1e5", '"1e5"'), ("", '""'),
    ("a,b", '"a,b"'), (" a", '" a"'), ('q"\\', '"q\\"\\\\"'),
])
def test_values_have_one_text(value, text):
    assert format_value(value) == text
    assert parse_value(text) == value


@pytest.mark.parametrize("value", [[1], {"a": 1}, math.nan, object()])
def test_what_is_no_scalar_has_no_text(value):
    with pytest.raises(SpecError, match="no text form"):
        label("m", {"a": value})


def test_a_label_is_canonical():
    assert label("ots", {}) == "ots"
    assert label("m", {"b": 1, "a": "x"}) == label("m", {"a": "x", "b": 1}) == "m[a=x,b=1]"
    assert str(Spec("wgan-gp", {"lambda": 1e5})) == "wgan-gp[lambda=100000]"


scalars = st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.none(), st.text())
names = st.from_regex(r"[a-z0-9][a-z0-9.-]*", fullmatch=True)
keys = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True)


@given(names, st.dictionaries(keys, scalars, max_size=4))
def test_a_label_reads_back_as_the_same_spec(name, values):
    text = label(name, values)
    assert parse_specs([text]) == [Spec(name, values)]
    assert label(name, parse_specs([text])[0].given) == text


@given(names, keys, st.lists(scalars, min_size=1, max_size=5, unique_by=format_value))
def test_both_forms_of_a_sweep_read_back_in_order(name, key, values):
    listed = ",".join(format_value(value) for value in values)
    expected = [Spec(name, {key: value}) for value in values]
    assert parse_specs([f"{name}[{key}=[{listed}]]"]) == expected
    assert parse_specs([f"{name}[{key}={listed}]"]) == expected


@given(st.text(alphabet="ab=[],'\"\\ 1.", max_size=12))
def test_any_text_is_read_or_refused_with_a_spec_error(text):
    try:
        specs = parse_specs([text])
    except SpecError:
        return
    assert parse_specs([str(spec) for spec in specs]) == specs


def test_a_spec_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Spec("ots").name = "other"


def test_expand_adds_the_default_sweep_for_keys_not_given():
    sweep = {"lambda": (0, 0.1, 100), "beta": (1, 2)}
    assert [str(s) for s in expand(Spec("w"), sweep)] == [
        "w[beta=1,lambda=0]", "w[beta=2,lambda=0]", "w[beta=1,lambda=0.1]",
        "w[beta=2,lambda=0.1]", "w[beta=1,lambda=100]", "w[beta=2,lambda=100]"]
    assert expand(Spec("w", {"lambda": 7}), sweep) == [
        Spec("w", {"lambda": 7, "beta": 1}), Spec("w", {"lambda": 7, "beta": 2})]
    assert expand(Spec("w", {"lr": 1}), {}) == [Spec("w", {"lr": 1})]


def test_settings():
    assert parse_settings([]) == {}
    assert parse_settings(["ots.iterations=500", "ots.lr=1e-4,w2.early.path='a,b'"]) == {
        "ots": {"iterations": 500, "lr": 1e-4}, "w2.early": {"path": "a,b"}}


@pytest.mark.parametrize(("text", "what"), [
    ("ots", "cannot read the setting 'ots'"),
    ("ots=3", "'ots' is not name.key"),
    (".key=3", "'.key' is not name.key"),
    ("ots.=3", "'ots.' is not name.key"),
    ("ots.a=", "expected a value at character 7"),
    ("ots.a=1 'b'", "unexpected"),
    ("ots.a=b=c", "'=' inside a value must be quoted"),
    ("ots.a=[1,2]", "sets several values"),
    ("ots.a=1,2", "cannot read the setting '2'"),
    ("ots.a=1,ots.a=2", "ots.a is set twice: 1 and 2"),
])
def test_says_what_is_wrong_with_a_setting(text, what):
    with pytest.raises(SpecError) as caught:
        parse_settings([text])
    assert what in caught.value.message
    assert caught.value.hint
