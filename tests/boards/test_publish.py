"""What is published of a runs folder, what is refused, and that an interrupt loses nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from srbench.boards import publication as disk
from srbench.boards.definition import Definition, load_definition
from srbench.boards.publication import Publication, recover
from srbench.boards.publish import prepare
from srbench.errors import StoreError, UsageError
from srbench.files import sha256
from srbench.results.store import Store
from srbench.verify.cells import check_cell
from tests.boards.published_runs import BOARD, TITLE, define, tree, whole_cell
from tests.results.factory import log_file, make_record

OTHER = "2026-01-03T03:04:05+00:00"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    return define(tmp_path / "leaderboards")


def board(boards: Path, name: str = "w2") -> Definition:
    return load_definition(boards / f"{name}.toml")


def publish(runs: Path, boards: Path, **options: bool) -> Publication:
    publication = prepare(board(boards), runs, boards, **options)
    publication.apply()
    return publication


def published(boards: Path) -> dict[str, bytes]:
    return tree(boards / "records" / "w2")


def test_what_is_copied_and_what_is_not(runs, boards):
    first, second = whole_cell(runs, seed=0), whole_cell(runs, seed=1, psnr=21)
    Store(runs).write_plan(first.identity.plan, {"command": "srbench run --methods ots"})
    assert not [change for change in publish(runs, boards).changes()]

    files = published(boards)
    for record in (first, second):
        folder, key = runs / "cells" / record.identity.key, record.identity.key
        for name in ("record.json", "per_image.parquet", "palettes.parquet", "history.parquet"):
            assert files.pop(f"cells/{key}/{name}") == (folder / name).read_bytes()
    images = tree(runs / "cells" / first.identity.key / "images")
    assert len(images) == 6
    for name, content in images.items():
        assert files.pop(f"cells/{first.identity.key}/images/{name}") == content
    plan = json.loads(files.pop(f"plans/{first.identity.plan}.json"))
    assert plan["command"] == "srbench run --methods ots"
    assert files == {}, "checkpoints, logs, work, and images of other seeds stay where they are"


def test_the_store_reads_what_was_published(runs, boards):
    record = whole_cell(runs)
    publish(runs, boards)
    records, invalid = Store(boards / "records" / "w2").records()
    assert (records, invalid) == ([record], [])


def test_published_files_are_those_the_record_names(runs, boards):
    record = whole_cell(runs)
    publish(runs, boards)
    folder = boards / "records" / "w2" / "cells" / record.identity.key
    for path in folder.rglob("*.parquet"):
        assert sha256(path) == record.artefacts[path.name].sha256
    findings = [finding for finding in check_cell(folder).findings if "No such" not in
                finding.problem and finding.file != "cell.json"]
    assert findings == []


def test_publishing_twice_changes_nothing(runs, boards):
    whole_cell(runs)
    publish(runs, boards)
    before = {path: path.stat().st_mtime_ns for path in boards.rglob("*")}
    assert prepare(board(boards), runs, boards).changes() == []
    publish(runs, boards)
    assert {path: path.stat().st_mtime_ns for path in boards.rglob("*")
            if path.name != "plans"} == {path: time for path, time in before.items()
                                         if path.name != "plans"}


def test_only_records_of_the_board(runs, boards):
    mine = whole_cell(runs)
    for change in ({"title": "aim19"}, {"preset": "paper"}):
        whole_cell(runs, "bicubic", **change)
    assert [cell.key for cell in publish(runs, boards).fresh] == [mine.identity.key]


def test_failures_are_published_with_their_reason(runs, boards):
    record = make_record("wgan-gp[lambda=1]", title=TITLE, status="diverged", reason="NaN")
    log_file(runs, record)
    Store(runs).commit(record)
    publish(runs, boards)
    files = published(boards)
    assert list(files) == [f"cells/{record.identity.key}/record.json"]
    assert b"NaN" in files.popitem()[1]


def test_the_newer_record_takes_the_place_of_the_older(runs, boards):
    old = whole_cell(runs, psnr=19)
    publish(runs, boards)
    new = whole_cell(runs, finished=OTHER)
    changes = prepare(board(boards), runs, boards).changes()
    kinds = {(change.kind, change.path.split("/")[3]) for change in changes}
    assert kinds == {("removed", old.identity.key), ("added", new.identity.key)}
    publish(runs, boards)
    assert {name.split("/")[1] for name in published(boards) if name.startswith("cells")} == {
        new.identity.key}


def test_an_older_record_does_not_come_back(runs, boards, tmp_path):
    new = whole_cell(runs, finished=OTHER)
    publish(runs, boards)
    whole_cell(tmp_path / "others", psnr=19)
    publication = publish(tmp_path / "others", boards)
    assert [cell.key for cell in publication.cells] == [new.identity.key]
    assert publication.fresh == []


def test_records_of_several_runs_stand_together(runs, boards, tmp_path):
    first = whole_cell(runs)
    publish(runs, boards)
    second = whole_cell(tmp_path / "others", "bicubic")
    publish(tmp_path / "others", boards)
    records, _ = Store(boards / "records" / "w2").records()
    assert {record.identity.key for record in records} == {first.identity.key, second.identity.key}


def test_images_move_to_a_lower_seed(runs, boards):
    second = whole_cell(runs, seed=2)
    publish(runs, boards)
    assert any("/images/" in name for name in published(boards))
    first = whole_cell(runs, seed=1)
    publish(runs, boards)
    folders = {name.split("/")[1] for name in published(boards) if "/images/" in name}
    assert folders == {first.identity.key} != {second.identity.key}


@pytest.mark.parametrize(("change", "what", "values"), [
    ({"fingerprint": "e" * 64}, f"two fingerprints of {TITLE}", ("d" * 64, "e" * 64)),
    ({"protocol": "psnr/v2"}, f"two protocols of psnr on {TITLE}", ("psnr/v1", "psnr/v2")),
])
@pytest.mark.parametrize("before", [False, True])
def test_what_no_ranking_may_mix(runs, boards, tmp_path, change, what, values, before):
    whole_cell(runs)
    if before:
        publish(runs, boards)
        runs = tmp_path / "others"
    whole_cell(runs, "bicubic", **change)
    written = tree(boards)
    with pytest.raises(UsageError) as raised:
        prepare(board(boards), runs, boards)
    for word in (what, *values, "ots, seed 0", "bicubic, seed 0", str(runs)):
        assert word in raised.value.message
    assert "--replace" in raised.value.hint
    assert tree(boards) == written


def test_two_presets(runs, boards):
    whole_cell(runs)
    publish(runs, boards)
    define(boards, text=BOARD.replace("quick", "paper"))
    whole_cell(runs, "bicubic", preset="paper")
    with pytest.raises(UsageError, match=r"would mix presets: it is of preset 'paper', "
                       r"and ots.*'quick'"):
        prepare(board(boards), runs, boards)
    publish(runs, boards, replace=True)
    records, _ = Store(boards / "records" / "w2").records()
    assert [record.identity.preset for record in records] == ["paper"]


@pytest.mark.parametrize(("text", "said"), [
    (BOARD + 'source = "official"', "source 'official', and ots.*'embedded'"),
    (BOARD.replace("w2-early", "w2-late"), "has the datasets w2-late@embedded, and ots"),
    (BOARD + 'methods = ["bicubic"]', "takes the methods bicubic, and not ots"),
])
def test_records_that_a_changed_definition_no_longer_takes(runs, boards, text, said):
    whole_cell(runs)
    publish(runs, boards)
    define(boards, text=text)
    with pytest.raises(UsageError, match=said):
        prepare(board(boards), runs, boards)


def test_replacing_without_new_records_keeps_the_old_ones(runs, boards, tmp_path):
    record = whole_cell(runs)
    publish(runs, boards)
    publication = publish(tmp_path / "nowhere", boards, replace=True)
    assert [cell.key for cell in publication.cells] == [record.identity.key]


def test_several_datasets_have_protocols_of_their_own(runs, tmp_path):
    boards = define(tmp_path / "boards", text=BOARD.replace(f'["{TITLE}"]', '["a", "b"]'))
    for title, protocol in (("a", "psnr/v1"), ("b", "psnr/v2")):
        whole_cell(runs, title=title, protocol=protocol, fingerprint=title * 64)
    assert len(publish(runs, boards).cells) == 2


@pytest.mark.parametrize(("file", "said"), [
    ("per_image.parquet", "per_image.parquet"), ("images/lr_0.png", "images/lr_0.png"),
    ("record.json", "the mean of per_image.parquet")])
def test_a_changed_file_is_refused(runs, boards, file, said):
    record = whole_cell(runs)
    path = runs / "cells" / record.identity.key / file
    if file == "record.json":
        path.write_text(path.read_text().replace('"value": 20.0', '"value": 25.0'))
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(StoreError) as raised:
        prepare(board(boards), runs, boards)
    assert said in raised.value.message
    assert "ots on" in raised.value.message
    assert "srbench verify" in raised.value.hint


def test_files_that_are_not_published_may_be_gone_or_changed(runs, boards):
    record = whole_cell(runs)
    folder = runs / "cells" / record.identity.key
    (folder / "checkpoint" / "tensors.safetensors").unlink()
    (folder / "log.txt").unlink()
    (folder / "note.md").write_text("mine")
    assert len(publish(runs, boards).fresh) == 1


def test_a_published_file_that_was_changed_is_refused(runs, boards, tmp_path):
    record = whole_cell(runs)
    publish(runs, boards)
    path = boards / "records" / "w2" / "cells" / record.identity.key / "palettes.parquet"
    path.write_bytes(b"other")
    with pytest.raises(StoreError, match=r"palettes\.parquet"):
        prepare(board(boards), tmp_path / "nowhere", boards)
    publish(runs, boards)
    assert path.read_bytes() != b"other"


def test_a_copied_training_is_refused(runs, boards):
    whole_cell(runs, seed=0, seconds_fit=3.25)
    whole_cell(runs, seed=1, seconds_fit=3.25, psnr=20.5)
    with pytest.raises(StoreError, match="the same seconds of training"):
        prepare(board(boards), runs, boards)


def test_invalid_records_are_listed(runs, boards):
    whole_cell(runs)
    bad = runs / "cells" / "bad"
    bad.mkdir()
    (bad / "record.json").write_text("{}")
    publication = prepare(board(boards), runs, boards)
    assert [broken.path for broken in publication.invalid] == [bad / "record.json"]


def test_an_artefact_that_is_a_link_is_refused(runs, boards, tmp_path):
    record = whole_cell(runs)
    path = runs / "cells" / record.identity.key / "palettes.parquet"
    (tmp_path / "secret").write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(StoreError, match="link"):
        prepare(board(boards), runs, boards)


@pytest.mark.parametrize("step", range(4))
def test_an_interrupt_loses_no_cell(runs, boards, monkeypatch, step):
    """Stop between any two renames: each cell is there, or comes back, as it was or as it will."""
    records = [whole_cell(runs, seed=seed) for seed in (0, 1)]
    publish(runs, boards)
    before = published(boards)
    for record in records:  # the same keys with other values: swapped in place
        path = runs / "cells" / record.identity.key / "record.json"
        path.write_text(path.read_text().replace("A processor", "Another one"))
    publication = prepare(board(boards), runs, boards)
    original, count = Path.replace, iter(range(100))

    def stop(self, target):
        if "/cells/" in f"{self}{target}" and next(count) == step:
            raise KeyboardInterrupt
        return original(self, target)

    monkeypatch.setattr(disk, "atomic_write", lambda path, data, durable: path.write_bytes(data))
    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        publication.apply()
    monkeypatch.undo()

    recover(boards / "records" / "w2")
    after = published(boards)
    assert after.keys() == before.keys()
    for name, content in after.items():
        assert content in (before[name], before[name].replace(b"A processor", b"Another one"))
    publish(runs, boards)
    assert all(b"Another one" in content for name, content in published(boards).items()
               if name.endswith("record.json"))
    assert not list((boards / "records" / "w2").glob(".*"))


def test_a_full_disk_is_told_and_the_cells_stay(runs, boards, monkeypatch):
    whole_cell(runs)
    publish(runs, boards)
    before = published(boards)
    whole_cell(runs, "bicubic")
    publication = prepare(board(boards), runs, boards)

    def full(path, data, *, durable):
        raise StoreError("no space left")

    monkeypatch.setattr(disk, "atomic_write", full)
    with pytest.raises(StoreError, match="no space"):
        publication.apply()
    recover(boards / "records" / "w2")
    assert published(boards) == before
