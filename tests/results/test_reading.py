"""Reading a record file: every kind of damage has a reason that says where and what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from srbench.errors import StoreError
from srbench.results import reading
from srbench.results.reading import NewerSchema, json_object, load, migrate
from srbench.results.record import Record
from srbench.results.store import Store
from tests.results.factory import make_metric, make_record


@pytest.fixture
def path(tmp_path) -> Path:
    """A whole record file."""
    metrics = {"psnr": make_metric("psnr", 24.5, interval=[24.0, 25.0], detail={"rank": 3}),
               "lpips": make_metric("lpips", None, unavailable="no weights", remedy="fetch")}
    return Store(tmp_path).commit(make_record(key="cell", metrics=metrics, oracle={"psnr": 25.0}))


def change(path: Path, place: str, value: Any) -> None:
    """Put a value at a dotted place of the file; ``...`` removes what is there."""
    document = json.loads(path.read_text())
    *parents, last = place.split(".")
    inner = document
    for name in parents:
        inner = inner[int(name) if isinstance(inner, list) else name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    path.write_text(json.dumps(document))


def test_a_whole_record_comes_back_with_every_field(path):
    record = load(path)
    assert record.values.final["psnr"].interval == [24.0, 25.0]
    assert record.values.final["lpips"].unavailable == "no weights"
    assert record.values.oracle["psnr"].value == 25.0
    assert record == Record.model_validate_json(path.read_text())
    assert json.loads(record.model_dump_json()) == json.loads(path.read_text())


@pytest.mark.parametrize(("place", "value", "reason"), [
    ("identity", ..., "identity: Field required"),
    ("identity.seed", "0", "identity.seed: Input should be a valid integer"),
    ("identity.seed", 1.5, "identity.seed: Input should be a valid integer"),
    ("identity.seed", True, "identity.seed: Input should be a valid integer"),
    ("identity.label", None, "identity.label: Input should be a valid string"),
    ("identity.colour", "red", "identity.colour: Extra inputs are not permitted"),
    ("outcome.status", "fine", "outcome.status: Input should be"),
    ("outcome.finished", ..., "outcome.finished: Field required"),
    ("outcome.log_tail", "text", "outcome.log_tail: Input should be"),
    ("values.final.psnr.value", "24", "values.final.psnr.value: Input should be a valid number"),
    ("values.final.psnr.direction", "up", "values.final.psnr.direction: Input should be"),
    ("values.final.psnr.protocol", ..., "values.final.psnr.protocol: Field required"),
    ("values.final.lpips", 3.0, "values.final.lpips: Input should be"),
    ("values.oracle", [], "values.oracle: Input should be"),
    ("cost.stages.0.images", "many", "cost.stages.0.images: Input should be a valid integer"),
    ("cost.seconds_fit", None, "cost.seconds_fit: Input should be a valid number"),
    ("origin.method_digest", 7, "origin.method_digest: Input should be a valid string"),
    ("artefacts", {"log": {"path": "log.txt"}}, "artefacts.log.sha256: Field required (and 1"),
    ("facts", 3, "facts: Input should be"),
])
def test_what_breaks_the_schema_is_named_by_its_place(path, place, value, reason):
    change(path, place, value)
    with pytest.raises(StoreError) as caught:
        load(path)
    assert reason in caught.value.message
    assert caught.value.hint == f"delete {path} and run the cell again"
    assert not isinstance(caught.value, NewerSchema)


def test_several_faults_are_counted(path):
    for place in ("identity.seed", "identity.label", "outcome.status"):
        change(path, place, {})
    with pytest.raises(StoreError, match=r"^identity\.label: .* \(and 2 more\)"):
        load(path)


@pytest.mark.parametrize(("content", "reason"), [
    (b"", "record.json is not JSON"), (b"{", "record.json is not JSON"),
    (b"\xff\xfe\x00", "record.json is not JSON"), (b"null", "is not a JSON object"),
    (b"3", "is not a JSON object"), (b'"text"', "is not a JSON object"),
    (b"[{}]", "is not a JSON object"), (b"{} {}", "record.json is not JSON"),
    (b'{"schema_version": ' + b"9" * 5000 + b"}", "record.json is not JSON"),
    (b'{"a":' * 100_000, "record.json is not JSON"),
    (b"{}", "schema_version is None, not a number"),
    (b'{"schema_version": -3}', "schema version -3 cannot be migrated to -2"),
    (b'{"schema_version": "1"}', "schema_version is '1', not a number"),
])
def test_bytes_that_are_no_record(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        load(path)
    assert reason in caught.value.message
    records, invalid = Store.of_cell(path.parent).records()
    assert records == []
    assert invalid[0].reason == caught.value.message


def test_half_a_character_is_a_broken_record_not_a_crash(path):
    """JSON may hold half of a surrogate pair, which no encoding can write again."""
    text = path.read_text().replace('"ots"', '"\\ud800"', 1)
    path.write_text(text)
    with pytest.raises(StoreError):
        load(path)


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(StoreError, match="No such file"):
        json_object(tmp_path / "absent.json")
    with pytest.raises(StoreError, match="Is a directory") as caught:
        json_object(tmp_path)
    assert caught.value.hint == f"delete {tmp_path} and run again"


def test_a_newer_record_is_told_from_a_broken_one(path):
    change(path, "schema_version", 7)
    change(path, "identity", ...)
    with pytest.raises(NewerSchema, match="schema version 7 is newer than 1") as caught:
        load(path)
    assert caught.value.hint == "pip install --upgrade srbench"


def test_an_old_record_is_migrated_while_it_is_read(path, monkeypatch):
    """Version 0 called the label a name and had no status."""
    def from_version_0(data):
        identity = {**data["identity"], "label": data["identity"]["name"]}
        del identity["name"]
        return {**data, "identity": identity}

    change(path, "identity.name", "ots[k=1]")
    change(path, "identity.label", ...)
    change(path, "schema_version", 0)
    with pytest.raises(StoreError, match="schema version 0 cannot be migrated to 1"):
        load(path)
    monkeypatch.setattr(reading.migrate, "__kwdefaults__",
                        {**migrate.__kwdefaults__, "migrations": {0: from_version_0}})
    record = load(path)
    assert record.identity.label == "ots[k=1]"
    assert record.schema_version == 1
    assert json.loads(path.read_text())["schema_version"] == 0  # reading writes nothing


def test_a_migration_that_yields_no_record_is_an_error_of_the_schema(path, monkeypatch):
    change(path, "schema_version", 0)
    monkeypatch.setattr(reading.migrate, "__kwdefaults__",
                        {**migrate.__kwdefaults__, "migrations": {0: lambda data: {}}})
    with pytest.raises(StoreError, match="Field required"):
        load(path)
