"""No path of the user's machine is published."""

from __future__ import annotations

import json

import pytest

from srbench.boards.definition import load_definition
from srbench.boards.local_paths import clean_record, clean_text, refuse_merged
from srbench.boards.publish import prepare
from srbench.errors import UsageError
from srbench.results.store import Store
from tests.boards.published_runs import define, tree, whole_cell
from tests.results.factory import make_record


@pytest.mark.parametrize(("text", "cut"), [
    ("cannot read /home/me/data/a.png: no", "cannot read .../a.png: no"),
    ('  File "/home/me/my code/y.py", line 3', '  File ".../y.py", line 3'),
    ("PATH=/a/b:/c/d", "PATH=.../b:.../d"),
    ("file:///home/me/x.pt", ".../x.pt"),
    (r"C:\Users\me\x.pt is missing", ".../x.pt is missing"),
    ("C:/Users/me/x.pt", ".../x.pt"),
    (r"\\host\share\x.pt", ".../x.pt"),
    ("ots[pretrained=/home/me/T.pt]", "ots[pretrained=.../T.pt]"),
    ("--plugin '/home/my dir/x.py' --set a.root=/data/a", "--plugin '.../x.py' --set a.root=.../a"),
    ("(/a/b), [/c/d]", "(.../b), [.../d]"),
    ("/home/me/runs/", ".../runs"),
])
def test_only_the_last_part_of_an_absolute_path_stays(text, cut):
    assert clean_text(text) == cut
    assert clean_text(cut) == cut


@pytest.mark.parametrize("text", [
    "", "https://example.org/a/b?c=/d", "http://a:80/b/c", "l2-uvp/eval-mode/v1", "and/or", "/tmp",
    "../a/b", "./c/d", "~/x/y", "runs/cells/3f", "psnr 24.1/25.0", "git@host:a/b", "a \\ b",
    "12/04 at 3:15"])
def test_other_texts_stay(text):
    assert clean_text(text) == text


def test_the_users_own_folders_may_hold_blanks():
    own = ["/home/Jane Q. Doe"]
    assert clean_text("see /home/Jane Q. Doe/runs/x.txt now", lambda: own) == "see .../x.txt now"


def test_every_text_of_a_record_is_cut_but_not_its_files():
    record = make_record("ots[pretrained=/home/me/T.pt]", status="failed",
                         reason="no /home/me/x/T.pt", notice="of /data/big/set",
                         method_params={"pretrained": "/home/me/my files/T.pt", "lr": 0.1,
                                        "nested": [{"a": "/q/r/s"}]})
    record.outcome.log_tail = ["fine", 'File "/usr/lib/x.py"']
    cleaned, fields = clean_record(record)
    assert "/home" not in cleaned.model_dump_json()
    assert cleaned.identity.label == "ots[pretrained=.../T.pt]"
    assert cleaned.identity.method_params == {"pretrained": ".../T.pt", "lr": 0.1,
                                              "nested": [{"a": ".../s"}]}
    assert cleaned.outcome.log_tail == ["fine", 'File ".../x.py"']
    assert set(fields) == {
        "identity.label", "identity.notice", "identity.method_params.pretrained",
        "identity.method_params.nested.a", "outcome.reason", "outcome.log_tail"}
    assert cleaned.identity.key == record.identity.key
    assert cleaned.values == record.values


def test_a_record_without_paths_is_the_same_object():
    record = make_record()
    assert clean_record(record) == (record, ())
    assert clean_record(record)[0] is record


def test_two_methods_that_would_become_one_are_refused():
    pairs = [(record, clean_record(record)[0]) for record in (
        make_record("ots[pretrained=/a/x/T.pt]"), make_record("ots[pretrained=/a/y/T.pt]"))]
    with pytest.raises(UsageError) as raised:
        refuse_merged(pairs)
    assert "/a/x/T.pt" in raised.value.message
    assert "/a/y/T.pt" in raised.value.message
    refuse_merged([pairs[0], pairs[0]])


def test_published_records_and_commands_hold_none(tmp_path):
    runs, boards = tmp_path / "runs", define(tmp_path / "boards")
    plain = whole_cell(runs)
    local = whole_cell(runs, "ots[pretrained=/home/me/T.pt]", method_params={
        "pretrained": "/home/me/T.pt"}, plan="second")
    Store(runs).write_plan("second", {"cwd": "/home/me", "command":
                                      "srbench run --methods 'ots[pretrained=/home/me/T.pt]'"})
    publication = prepare(load_definition(boards / "w2.toml"), runs, boards)
    publication.apply()
    cut = {cell.key: cell.cut for cell in publication.cells}
    assert cut[plain.identity.key] == ()
    assert "identity.method_params.pretrained" in cut[local.identity.key]
    files = tree(boards / "records")
    assert not any(b"/home/me" in content for content in files.values())
    plan = json.loads(files["w2/plans/second.json"])
    assert plan == {"id": "second",
                    "command": "srbench run --methods 'ots[pretrained=.../T.pt]'"}
    records, invalid = Store(boards / "records" / "w2").records()
    assert not invalid
    assert {record.identity.label for record in records} == {"ots", "ots[pretrained=.../T.pt]"}
    assert prepare(load_definition(boards / "w2.toml"), runs, boards).changes() == []


