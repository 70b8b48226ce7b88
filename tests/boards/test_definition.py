"""Definitions of boards: what a file may hold, and what is said of one that holds more."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from srbench.boards.definition import (
    Expected,
    default_definition,
    find_definition,
    load_definition,
    load_definitions,
)
from srbench.errors import UnknownName, UsageError
from tests.results.factory import make_record

SMALL = 'title = "W2"\npreset = "quick"\ndatasets = ["w2-early@embedded"]\n'
WHOLE = '''
title = "Mixtures"
summary = """
Two dimensions
of one pair."""
preset = "paper"
datasets = ["mix[dim=2]", "mix[dim=4]"]
source = "official"
methods = ["ots", "wgan-gp[lambda=10]"]
columns = ["l2-uvp", "cosine"]
rank = "mix[dim=4]"
reference = "identity"
command = "srbench run --methods ots --dataset 'mix[dim=2,4]'"
cite = ["@misc{a, title = {A}}"]
published = [
  {label = "ots", metric = "l2-uvp", dataset = "mix[dim=2]", value = 0.1, tolerance = 0.05, \
   source = "T1"},
]
[scenes]
count = 3
'''


def write(folder: Path, text: str, name: str = "small") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str, name: str = "small") -> UsageError:
    with pytest.raises(UsageError) as raised:
        load_definition(write(folder, text, name))
    assert f"{name}.toml" in raised.value.message
    assert raised.value.hint
    return raised.value


def test_a_whole_file(tmp_path):
    board = load_definition(write(tmp_path, WHOLE, "mix"))
    assert (board.name, board.title, board.preset) == ("mix", "Mixtures", "paper")
    assert board.summary == "Two dimensions of one pair."
    assert board.datasets == ("mix[dim=2]", "mix[dim=4]")
    assert (board.source, board.rank, board.reference) == ("official", "mix[dim=4]", "identity")
    assert board.methods == ("ots", "wgan-gp[lambda=10]")
    assert board.columns == ("l2-uvp", "cosine")
    assert board.published == (Expected(label="ots", metric="l2-uvp", dataset="mix[dim=2]",
                                        value=0.1, tolerance=0.05, source="T1"),)
    assert board.scenes == 3
    assert board.cite == ("@misc{a, title = {A}}",)
    with pytest.raises(FrozenInstanceError):
        board.name = "other"


def test_a_small_file_leaves_the_rest_to_the_board(tmp_path):
    board = load_definition(write(tmp_path, SMALL))
    assert board.rank == "w2-early@embedded"
    assert (board.methods, board.columns, board.published) == ((), (), ())
    assert (board.source, board.reference, board.scenes, board.command) == ("", "", None, "")


def test_a_published_value_belongs_to_the_only_dataset(tmp_path):
    text = SMALL + ('[[published]]\nlabel = "ots"\nmetric = "fid"\nvalue = 15\ntolerance = 1\n'
                    'source = "Table 2"\n')
    assert load_definition(write(tmp_path, text)).published[0].dataset == "w2-early@embedded"


@pytest.mark.parametrize(("text", "message", "remedy"), [
    (SMALL + 'colums = ["psnr"]', r"unknown key 'colums' \(its value is \['psnr'\]\); did you mean "
     "'columns'?", "known keys: title, summary"),
    (SMALL + "[scenes]\nnumber = 3", r"unknown key 'scenes.number' .*3", "known keys: count"),
    (SMALL.replace('title = "W2"\n', ""), "the key 'title' is missing", "title = "),
    (SMALL.replace("quick", "fast"), "preset is 'fast'", '"quick", "paper" or "code"'),
    (SMALL.replace('"W2"', "7"), "title is 7: .*string", "a few words"),
    (SMALL.replace('"W2"', '" "'), "title is ' '", "a few words"),
    (SMALL.replace('["w2-early@embedded"]', "[]"), r"datasets is \[\]", "titles of datasets"),
    (SMALL.replace('["w2-early@embedded"]', '["a", 3]'), r"datasets\[2\] is 3", "titles"),
    (SMALL.replace('["w2-early@embedded"]', '["a", "a"]'), "datasets has 'a' twice", "keep one"),
    (SMALL + 'methods = "some"', "methods is 'some'", '"all", or names'),
    (SMALL + "methods = [1]", r"methods", '"all", or names'),
    (SMALL + 'rank = "w2-erly"', "rank is 'w2-erly', .* did you mean 'w2-early@embedded'",
     "datasets: w2-early@embedded"),
    (SMALL + "scenes = 3", "scenes is 3", r"a table \[scenes\]"),
    (SMALL + "[scenes]\ncount = 0", "scenes.count is 0", "from 1 to 64"),
    (SMALL + 'published = [{label = "a", metric = "b", value = "1", tolerance = 0, source = "c"}]',
     r"published\[1\].value is '1'", "a number"),
    (SMALL + 'published = [{label = "a", metric = "b", value = nan, tolerance = 0, source = "c"}]',
     r"published\[1\].value is nan", "a number"),
    (SMALL + 'published = [{label = "a", metric = "b", value = 1, tolerance = -1, source = "c"}]',
     r"published\[1\].tolerance is -1", "absolute"),
    (SMALL + 'published = [{label = "a", metric = "b", value = 1, tolerance = 1}]',
     r"the key 'published\[1\].source' is missing", "where it was published"),
    (SMALL + 'published = [{label = "a", metric = "b", valu = 1, tolerance = 1, source = "c"}]',
     r"unknown key 'published\[1\].valu' .* did you mean 'value'", "known keys: label"),
    (SMALL + 'published = [{label = "a", metric = "b", value = 1, tolerance = 1, source = "c", '
     'dataset = "x"}]', r"published\[1\].dataset is 'x'", "datasets: w2"),
    (SMALL + 'published = [' + '{label = "a", metric = "b", value = 1, tolerance = 1, source = "c"'
     '},' * 1 + '{label = "a", metric = "b", value = 2, tolerance = 1, source = "c"}]',
     "two values of 'b' for 'a'", "keep one"),
    ("title = ", "cannot be read as TOML: Invalid value", "mend the file"),
    ("a = 1\na = 2", "cannot be read as TOML", "mend the file"),
])
def test_a_wrong_file_is_named_with_key_value_and_remedy(tmp_path, text, message, remedy):
    error = refusal(tmp_path, text)
    assert re.search(message, error.message), error.message
    assert re.search(remedy, error.hint), error.hint


def test_every_fault_is_named_once(tmp_path):
    error = refusal(tmp_path, SMALL.replace("quick", "fast") + "methods = [1]\nsumary = 1")
    assert error.message.count("methods") == 1
    assert "preset is 'fast'" in error.message
    assert "did you mean 'summary'" in error.message


def test_published_values_of_several_datasets_say_which(tmp_path):
    text = WHOLE.replace('dataset = "mix[dim=2]", ', "")
    error = refusal(tmp_path, text)
    assert "published[1].dataset is missing ('ots', 'l2-uvp')" in error.message
    assert 'dataset = "mix[dim=2]"' in error.hint


@pytest.mark.parametrize("name", ["Mix", "a b", "index", "x-pixels", "-x", ".x", "ä"])
def test_names_are_plain(tmp_path, name):
    assert "cannot be the name of a board" in refusal(tmp_path, SMALL, name).message


def test_a_file_that_is_no_text_or_a_link(tmp_path):
    (tmp_path / "bytes.toml").write_bytes(b"title = '\xff'")
    with pytest.raises(UsageError, match="cannot be read as TOML"):
        load_definition(tmp_path / "bytes.toml")
    (tmp_path / "link.toml").symlink_to(write(tmp_path, SMALL))
    with pytest.raises(UsageError, match=r"link\.toml"):
        load_definition(tmp_path / "link.toml")


def test_a_folder_is_read_in_order_and_names_are_suggested(tmp_path):
    for name in ("zeta", "w2-early", "alpha@embedded"):
        write(tmp_path, SMALL, name)
    boards = load_definitions(tmp_path)
    assert [board.name for board in boards] == ["alpha@embedded", "w2-early", "zeta"]
    assert find_definition(boards, "zeta").name == "zeta"
    with pytest.raises(UnknownName, match="did you mean 'w2-early'"):
        find_definition(boards, "w2-erly")
    with pytest.raises(UsageError, match="no folder"):
        load_definitions(tmp_path / "nowhere")


def test_which_records_belong_to_a_board(tmp_path):
    board = load_definition(write(tmp_path, WHOLE, "mix"))
    mine = {"title": "mix[dim=2]", "preset": "paper", "source": "official"}
    assert board.wants(make_record("ots[lr=1]", **mine))
    assert board.wants(make_record("wgan-gp[lambda=10]", **mine))
    assert not board.wants(make_record("wgan-gp[lambda=100]", **mine))
    for change in ({"title": "mix[dim=8]"}, {"preset": "quick"}, {"source": "embedded"}):
        assert not board.wants(make_record("ots", **{**mine, **change}))


def test_boards_that_no_file_defines():
    board = default_definition("w2-early@embedded", "quick")
    assert (board.name, board.title) == ("w2-early@embedded-quick", "w2-early@embedded")
    assert board.wants(make_record("anything", title="w2-early@embedded"))
    split = default_definition("w2-early (data " + "d" * 8 + ")", "quick")
    assert split.wants(make_record(title="w2-early", fingerprint="d" * 64))
    assert not split.wants(make_record(title="w2-early", fingerprint="e" * 64))


def test_their_names_are_plain_and_differ():
    titles = ["mix[dim=2]", "mix[dim=4]", "../../etc", "..\\..\\etc", "<b>", "<i>", "", "x" * 300,
              "x" * 301, "index", "Ü", "ä", "a b", "a\nb"]
    names = [default_definition(title, preset).name for title in titles
             for preset in ("quick", "paper")]
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"[a-z0-9@._-]{1,120}", name), name
        assert name[0] not in ".-"
