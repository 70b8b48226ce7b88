"""The grammar of specs: round trips of lists and settings, and where an error stands."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srbench.errors import SpecError
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
from srbench.spec.grammar import Reader

names = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,6}", fullmatch=True)
keys = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,4}", fullmatch=True)
scalars = st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.none(),
                    st.text(max_size=8), st.text(alphabet="[]=,'\" \\", max_size=6))
specs = st.builds(Spec, names, st.dictionaries(keys, scalars, max_size=3))
sweeps = st.dictionaries(keys, st.lists(scalars, min_size=1, max_size=3, unique_by=format_value),
                         max_size=3)
GAPS = st.sampled_from(["", " ", "\t", "\n "])


@given(st.lists(specs, min_size=1, max_size=4), GAPS)
def test_a_list_of_specs_reads_back_whatever_stands_between(listed, gap):
    text = f"{gap},{gap}".join(str(spec) for spec in listed)
    assert parse_specs([gap + text + gap]) == listed
    assert parse_specs([str(spec) for spec in listed]) == listed


@given(st.lists(specs, min_size=1, max_size=4))
def test_a_list_is_split_where_it_was_joined(listed):
    assert split_list(",".join(map(str, listed))) == [str(spec) for spec in listed]


@given(names, sweeps, st.booleans())
def test_a_grid_is_every_combination_with_the_first_key_slowest(name, grid, bracketed):
    form = "{}=[{}]" if bracketed else "{}={}"
    items = [form.format(key, ",".join(map(format_value, values)))
             for key, values in grid.items()]
    text = f"{name}[{','.join(items)}]" if items else name
    expected = [Spec(name, dict(zip(grid, row, strict=True))) for row in product(*grid.values())]
    assert parse_specs([text]) == expected


@given(specs, sweeps)
def test_expanding_keeps_what_was_given_and_makes_every_other_combination(spec, sweep):
    cells = expand(spec, sweep)
    missing = [key for key in sweep if key not in spec.given]
    assert [tuple(cell.given[key] for key in missing) for cell in cells] == list(
        product(*(sweep[key] for key in missing)))
    for cell in cells:
        assert cell.name == spec.name
        assert {key: cell.given[key] for key in spec.given} == dict(spec.given)
        assert expand(cell, sweep) == [cell]


@given(names, st.dictionaries(keys, scalars, min_size=1, max_size=4))
def test_settings_read_back(name, values):
    texts = [f"{name}.{key}={format_value(value)}" for key, value in values.items()]
    assert parse_settings(texts) == {name: values}
    assert parse_settings([",".join(texts)]) == {name: values}


@given(names, st.dictionaries(keys, scalars, max_size=4))
def test_the_order_of_keys_does_not_change_a_label(name, values):
    assert label(name, values) == label(name, dict(reversed(values.items())))


@given(scalars)
def test_a_value_has_one_text_of_its_own_type(value):
    text = format_value(value)
    back = parse_value(text)
    assert back == value
    assert format_value(back) == text
    if not isinstance(value, float) or not value.is_integer():  # 1.0 is written as 1
        assert type(back) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_equal_numbers_have_one_label_whatever_their_type(value):
    if value.is_integer() and abs(value) < 1e16:
        assert format_value(value) == format_value(int(value))
    assert "e+" not in format_value(value)


@pytest.mark.parametrize(("text", "value"), [
    ("0x10", "0x10"), ("1_000", 1000), ("1__0", "1__0"), ("1e", "1e"), ("+5", 5), ("-", "-"),
    ("1.2.3", "1.2.3"), (".5", 0.5), ("5.", 5.0), ("--1", "--1"), ("True", True), ("NONE", None),
    ("nan", "nan"), ("infinity", "infinity"), ("inf", float("inf")), ("'1'", "1"), ("''", ""),
    ("007", 7), ("1-2", "1-2"), ("'it''s'", "'it''s'"), (r'"a\\b\"c"', 'a\\b"c'), ("٣", "٣")])
def test_what_looks_like_a_number_and_is_one(text, value):
    found = parse_value(text)
    assert found == value
    assert type(found) is type(value)


@given(specs, st.sampled_from(["]", "[", "=", "[]", "[=1]", "[a=1", "[a=]", "[a b=1]"]))
def test_what_follows_a_complete_spec_is_refused_with_its_place(spec, rest):
    text = f"{spec}]{rest}" if not spec.given else f"{spec}{rest}"
    with pytest.raises(SpecError) as caught:
        parse_specs([text])
    where = int(caught.value.message.rpartition(" ")[2])
    assert 1 <= where <= len(text) + 1
    assert caught.value.message.startswith(f"cannot read {text!r}: ")


@pytest.mark.parametrize(("text", "at", "char"), [
    ("a,b[x=1", 4, "["), ("a[x=1],b]", 9, "]"), ("a,'x", 3, "'"), ("a[x=1]]", 7, "]")])
def test_places_point_at_the_character_of_the_whole_text(text, at, char):
    with pytest.raises(SpecError, match=f"at character {at if char != chr(39) else 1} ") as caught:
        parse_specs([text])
    if char != "'":
        assert text[at - 1] == char
    assert caught.value.hint == "a spec is name, name[key=value] or name[key=[a,b]]"


def test_the_reader_passes_over_white_space_and_counts_it():
    reader = Reader("  ab \t cd")
    assert (reader.at, reader.peek()) == (2, "a")
    assert not reader.take("b")
    assert reader.take("ab")
    assert (reader.at, reader.done()) == (7, False)
    assert "at character 8" in reader.fail("x").message
    assert "at character 3" in reader.fail("x", 2).message
    assert reader.take("cd")
    assert (reader.done(), reader.peek()) == (True, "")


@pytest.mark.parametrize("texts", [["a.x=1", "a.x=2"], ["a.x=1,b.x=1,a.x=1"]])
def test_a_setting_is_given_once_even_with_the_same_value(texts):
    with pytest.raises(SpecError, match=r"a\.x is set twice"):
        parse_settings(texts)


def test_a_setting_of_a_name_with_dots_is_of_its_last_part():
    assert parse_settings(["w2.v1.size=64", "w2.size=32"]) == {
        "w2.v1": {"size": 64}, "w2": {"size": 32}}
