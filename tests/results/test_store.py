"""Records on disk: whole or not there, and never a crash on what lies there."""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from srbench.errors import StoreError
from srbench.results.reading import NewerSchema, migrate
from srbench.results.store import Invalid, Store, finite
from tests.results.factory import make_metric, make_record


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def leftovers(store: Store) -> list[str]:
    """Names of every file below the store but records."""
    return [path.name for path in store.runs.rglob("*")
            if path.is_file() and path.name != "record.json"]


def test_a_record_comes_back_as_it_was_written(store):
    record = make_record(metrics={"l2-uvp": make_metric(interval=[5.9, 6.3], count=512,
                                                        detail={"rank": 12288})},
                         oracle={"l2-uvp": 5.5}, notice="stand-in", seed=7)

    path = store.commit(record)

    assert path == store.runs / "cells" / record.identity.key / "record.json"
    assert store.read(record.identity.key) == record
    assert store.records() == ([record], [])
    assert leftovers(store) == []


def test_every_status_comes_back(store):
    statuses = ["ok", "failed", "crashed", "timeout", "oom", "diverged", "interrupted", "skipped",
                "missing-dependency"]
    for seed, status in enumerate(statuses):
        store.commit(make_record(seed=seed, status=status))

    found = {record.identity.seed: str(record.outcome.status) for record in store.records()[0]}

    assert [found[seed] for seed in range(len(statuses))] == statuses


def test_reading_what_is_not_there(store):
    assert store.read("absent") is None
    assert store.records() == ([], [])
    assert store.latest_plan() is None


def test_a_cell_folder_knows_its_store(store):
    assert Store.of_cell(store.cell_folder("abc")).runs == store.runs


@pytest.mark.parametrize("key", ["../../etc", "a/b", "", ".hidden", "..", "a\\b", "a\nb"])
def test_keys_cannot_leave_the_folder(store, key):
    with pytest.raises(StoreError, match="cannot be a file name"):
        store.cell_folder(key)


@pytest.mark.parametrize(("number", "word"), [(math.nan, "nan"), (math.inf, "inf"),
                                              (-math.inf, "-inf")])
def test_numbers_that_are_not_finite_become_null_with_a_flag(store, number, word):
    record = make_record(metrics={"l2-uvp": number,
                                  "psnr": make_metric("psnr", 20.0, interval=[math.nan, 21.0],
                                                      reference={"hr": math.nan, "lr": 0.5})})
    path = store.commit(record)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    document = json.loads(path.read_text(), parse_constant=refuse)
    assert document["values"]["final"]["l2-uvp"]["value"] is None
    assert document["outcome"]["flags"] == ["nan"]
    read = store.read(record.identity.key)
    assert read is not None
    assert read.values.final["l2-uvp"].unavailable == f"the value is {word}"
    assert read.values.final["psnr"].interval is None
    assert read.values.final["psnr"].reference == {"lr": 0.5}
    assert read.values.final["psnr"].value == 20.0


def test_finite_leaves_a_finite_record_and_its_argument_alone():
    record = make_record()
    assert finite(record) == record
    broken = make_record(metrics={"psnr": math.nan})
    finite(broken)
    assert broken.outcome.flags == []
    assert math.isnan(broken.values.final["psnr"].value)


def refuse_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_record_and_nothing_else(store, monkeypatch):
    old = make_record(key="cell", metrics={"psnr": 20.0})
    path = store.commit(old)
    monkeypatch.setattr(os, "fsync", refuse_space)

    with pytest.raises(StoreError) as caught:
        store.commit(make_record(key="cell", metrics={"psnr": 21.0}))

    assert str(path) in caught.value.message
    assert "No space left on device" in caught.value.message
    assert caught.value.hint
    assert store.read("cell") == old
    assert leftovers(store) == []


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
def test_a_write_cut_short_by_the_system_leaves_the_old_record(store, python):
    old = make_record(key="cell")
    store.commit(old)
    program = textwrap.dedent("""
        import resource, signal, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from tests.results.factory import make_record
        from srbench.errors import StoreError
        from srbench.results.store import Store
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            Store(Path(sys.argv[1])).commit(make_record(key="cell", seed=5))
        except StoreError as error:
            sys.exit(7 if "File too large" in error.message else 8)
        """)
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([python, "-c", program, str(store.runs), str(root)], check=False,
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})

    assert done.returncode == 7
    assert store.read("cell") == old
    assert leftovers(store) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "runs").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot create") as caught:
        Store(tmp_path / "runs").commit(make_record())
    assert "--runs" in caught.value.hint


def damaged(store: Store, change: str) -> Path:
    """Path of a committed record that was damaged in one way."""
    path = store.commit(make_record(key="cell"))
    whole = path.read_bytes()
    document = json.loads(whole)
    if change == "truncated":
        path.write_bytes(whole[:len(whole) // 2])
    elif change == "empty":
        path.write_bytes(b"")
    elif change == "binary":
        path.write_bytes(bytes(range(256)))
    elif change == "list":
        path.write_text("[]")
    elif change == "deep":
        path.write_text("[" * 100_000)
    elif change == "unknown key":
        path.write_text(json.dumps({**document, "surprise": 1}))
    elif change == "no version":
        del document["schema_version"]
        path.write_text(json.dumps(document))
    elif change == "version 0":
        path.write_text(json.dumps({**document, "schema_version": 0}))
    elif change == "text number":
        document["identity"]["seed"] = "0"
        path.write_text(json.dumps(document))
    return path


DAMAGES = {"truncated": "not JSON", "empty": "not JSON", "binary": "not JSON",
           "list": "not a JSON object", "deep": "not JSON", "unknown key": "surprise",
           "no version": "schema_version is None", "version 0": "cannot be migrated",
           "text number": "identity.seed"}


@pytest.mark.parametrize("change", DAMAGES)
def test_a_damaged_record_is_listed_with_its_reason_and_runs_again(store, caplog, change):
    good = make_record(seed=1)
    store.commit(good)
    path = damaged(store, change)

    records, invalid = store.records()

    assert records == [good]
    assert [entry.path for entry in invalid] == [path]
    assert DAMAGES[change] in invalid[0].reason
    with caplog.at_level(logging.WARNING):
        assert store.read("cell") is None
    assert str(path) in caplog.text


def test_a_record_of_a_newer_srbench_is_kept(store):
    path = store.commit(make_record(key="cell"))
    document = {**json.loads(path.read_text()), "schema_version": 2, "new_field": True}
    path.write_text(json.dumps(document))

    records, invalid = store.records()

    assert records == []
    assert invalid == [
        Invalid(path, "schema version 2 is newer than 1, the one this srbench reads")]
    with pytest.raises(NewerSchema) as caught:
        store.read("cell")
    assert "upgrade" in caught.value.hint


def test_a_record_in_another_cells_folder_is_refused(store):
    path = store.commit(make_record(key="mine"))
    (store.runs / "cells" / "other").mkdir()
    (store.runs / "cells" / "other" / "record.json").write_bytes(path.read_bytes())

    records, invalid = store.records()

    assert [record.identity.key for record in records] == ["mine"]
    assert "mine is not its folder's name" in invalid[0].reason


def test_migrations_run_in_order_and_do_not_change_their_input():
    steps = {1: lambda data: {**data, "trace": [*data["trace"], 1]},
             2: lambda data: {**data, "trace": [*data["trace"], 2]}}
    old = {"schema_version": 1, "trace": []}

    assert migrate(old, target=3, migrations=steps) == {"schema_version": 3, "trace": [1, 2]}
    assert old == {"schema_version": 1, "trace": []}
    assert migrate({"schema_version": 3}, target=3, migrations=steps) == {"schema_version": 3}
    with pytest.raises(StoreError, match="version 3 cannot be migrated to 4"):
        migrate(old, target=4, migrations=steps)


@pytest.mark.parametrize("version", [True, "1", None, 1.0])
def test_a_version_must_be_a_whole_number(version):
    with pytest.raises(StoreError, match="not a number"):
        migrate({"schema_version": version})


def test_plans_come_back_and_the_latest_is_the_one_written_last(store):
    store.write_plan("b", {"cells": ["k1"]})
    store.write_plan("a", {"cells": ["k2", "k3"]})
    os.utime(store.runs / "plans" / "b.json", ns=(1, 1))

    assert store.read_plan("a") == {"cells": ["k2", "k3"]}
    assert store.plans() == ["b", "a"]
    assert store.latest_plan() == "a"


def test_an_unknown_plan_names_those_there_are(store):
    store.write_plan("2026-01-02", {"cells": []})
    with pytest.raises(StoreError, match="no plan 'x'") as caught:
        store.read_plan("x")
    assert "2026-01-02" in caught.value.hint


def test_two_writers_at_once_leave_one_whole_record(store, python):
    program = ("import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
               "from tests.results.factory import make_record;"
               "from srbench.results.store import Store;"
               "store = Store(Path(sys.argv[1]));"
               "[store.commit(make_record(key='cell', seed=int(sys.argv[3]))) for _ in range(60)]")
    root = Path(__file__).resolve().parents[2]
    writers = [subprocess.Popen([sys.executable, "-c", program, str(store.runs), str(root), seed])
               for seed in "12"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        records, invalid = store.records()
        assert invalid == []
        seen |= {record.identity.seed for record in records}
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen <= {1, 2}
    assert leftovers(store) == []
