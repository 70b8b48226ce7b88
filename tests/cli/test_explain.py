"""`srbench explain`: hit or miss, and the part that differs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from srbench.cli import main
from srbench.engine.verdict import bare_record
from srbench.plan import Cell, Request, make_plan
from srbench.registry.catalog import discover
from srbench.results.record import Status
from srbench.results.store import Store
from srbench.spec import parse_specs

TOY = Path(__file__).resolve().parents[1] / "toy_plugin.py"


@pytest.fixture
def plugin(tmp_path, monkeypatch) -> Path:
    """A copy of the toy plugin that tests may edit, and a folder to work in."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "explained_toy.py"
    shutil.copy(TOY, path)
    return path


@pytest.fixture
def stored(plugin):
    """Return a function that stores a cell as if it had run, and returns it."""
    def store(method: str = "toy-shift", *, dataset: str = "toy", status: Status = Status.OK,
              **changes) -> Cell:
        request = Request(**{"methods": parse_specs([method]), "datasets": parse_specs([dataset]),
                             "seeds": [0], "preset": "quick", "precision": "fp32", "device": "cpu",
                             "threads": 1, "metrics": ["l2-uvp"], **changes})
        cell, = make_plan(request, discover([plugin]), "plan")
        kept = Store(Path("runs"))
        kept.commit(bare_record(cell, status, ""))
        (kept.cell_folder(cell.key) / "cell.json").write_text(cell.model_dump_json())
        return cell

    return store


@pytest.fixture
def explain(plugin, capsys):
    """Return a function that runs the command and gives its JSON document."""
    def call(*words: str):
        capsys.readouterr()
        assert main(["explain", *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return call


@pytest.fixture
def asked(explain, plugin):
    """Return a function that explains a cell named by method and options."""
    def call(method: str, *words: str):
        return explain(method, "--dataset", "toy", "--plugin", str(plugin), "--metrics", "l2-uvp",
                       "--device", "cpu", "--threads", "1", *words)

    return call


def differing(document) -> dict[str, list[str]]:
    return {row["part"]: row["detail"] for row in document["parts"] if not row["same"]}


def edit_document(cell: Cell, **changes) -> None:
    path = Path("runs/cells", cell.key, "cell.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_stored_cell_that_still_holds_is_a_hit(stored, explain, capsys):
    cell = stored()
    document = explain(cell.key[:8])
    assert document["reused"] is True
    assert document["key"] == document["today"] == cell.key
    assert (document["first"], differing(document)) == ("", {})
    assert {row["part"] for row in document["parts"]} == set(cell.parts)
    assert main(["explain", cell.key[:8]]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == f"{cell.key[:12]}  toy-shift on toy, seed 0"
    assert out.splitlines()[-1] == "hit: a run of the same command reuses this cell"


def test_the_file_that_changed_is_named(stored, explain, plugin, capsys):
    cell = stored()
    plugin.write_text(plugin.read_text().replace("gap.square().sum()", "gap.square().max()"))
    document = explain(cell.key)
    assert document["reused"] is False
    assert differing(document) == {"method_code": ["explained_toy.py changed"],
                                   "dataset_code": ["explained_toy.py changed"]}
    assert document["first"] == "method_code: explained_toy.py changed"
    assert main(["explain", cell.key]) == 0
    out = capsys.readouterr().out
    assert "miss: method_code: explained_toy.py changed" in out
    assert "runs this cell again" in out


def test_files_of_srbench_that_came_went_and_changed_are_named(stored, explain):
    cell = stored()
    code = {part: dict(files) for part, files in cell.code.items()}
    code["srbench_code"]["srbench/networks/unet.py"] = "0" * 32
    code["srbench_code"]["srbench/engine/cell.py"] = "0" * 32
    del code["srbench_code"]["srbench/training/budget.py"]
    edit_document(cell, code=code, parts={**cell.parts, "srbench_code": "0" * 64})
    assert differing(explain(cell.key)) == {"srbench_code": [
        "srbench/engine/cell.py changed", "srbench/training/budget.py is new",
        "srbench/networks/unet.py is gone"]}


def test_a_cell_that_ran_again_after_an_edit_is_a_hit_under_its_new_key(stored, explain, plugin):
    old = stored()
    plugin.write_text(plugin.read_text().replace("gap.square().sum()", "gap.square().max()"))
    new = stored()
    document = explain(old.key)
    assert (document["key"], document["today"], document["reused"]) == (old.key, new.key, True)
    assert set(differing(document)) == {"method_code", "dataset_code"}


@pytest.mark.parametrize("status", [Status.FAILED, Status.INTERRUPTED])
def test_a_record_that_is_not_ok_is_a_miss(stored, explain, status):
    document = explain(stored(status=status).key)
    assert (document["reused"], document["status"]) == (False, status)
    assert document["first"] == f"its record says {status}"
    assert differing(document) == {}


def test_a_cell_that_never_started_has_no_record(stored, explain):
    cell = stored()
    Path("runs/cells", cell.key, "record.json").unlink()
    document = explain(cell.key)
    assert (document["reused"], document["status"]) == (False, "no record")


@pytest.mark.parametrize(("content", "words"), [
    ("{", "record.json is not JSON"), ('{"schema_version": 99}', "newer than"),
    ('{"schema_version": 1, "colour": 1}', "Field required")])
def test_a_broken_record_is_said_to_be_broken(stored, explain, capsys, content, words):
    cell = stored()
    Path("runs/cells", cell.key, "record.json").write_text(content)
    document = explain(cell.key)
    assert (document["reused"], document["status"]) == (False, "broken record")
    assert words in document["problem"]
    assert main(["explain", cell.key]) == 0
    assert f"broken record: {document['problem']}" in capsys.readouterr().out


def test_a_broken_cell_file_is_said_to_be_broken(stored, capsys):
    cell = stored()
    Path("runs/cells", cell.key, "cell.json").write_text("[1")
    assert main(["explain", cell.key]) == 1
    assert "cell.json is not JSON" in capsys.readouterr().err


@pytest.mark.parametrize("changes", [{"identity": None}, {"parts": 3}, {"colour": "red"}])
def test_a_cell_file_of_another_srbench_is_told_from_a_changed_cell(stored, explain, changes):
    cell = stored()
    edit_document(cell, **changes)
    document = explain(cell.key)
    assert document["reused"] is False
    assert "its cell.json is broken or of another srbench" in document["first"]
    assert document["today"] is None


def test_parts_of_schema_1_are_a_miss_that_names_the_schema(stored, explain):
    cell = stored()
    document = json.loads(Path("runs/cells", cell.key, "cell.json").read_text())
    for name in ("code", "cwd", "ranks", "memory_gib", "gpu_memory_gib"):
        del document[name]
    old = {"identity_schema": 1, "method": "toy-shift", "method_digest": "a" * 64,
           "protocols": ["l2-uvp/v1"], "harness_digest": "b" * 64, "torch": "2.10", "seed": 0}
    Path("runs/cells", cell.key).rename(Path("runs/cells", "1" * 64))
    Path("runs/cells", "1" * 64, "cell.json").write_text(json.dumps({**document, "parts": old}))
    found = explain("111")
    assert (found["reused"], found["status"]) == (False, "ok")
    assert found["first"] == "identity_schema: 1 -> 2"
    assert {"method_digest", "harness_digest", "torch"} <= set(differing(found))
    assert differing(found)["srbench_code"] == [
        "which files changed is not known: the stored cell does not list them"]
    assert "method" not in differing(found)


def test_a_cell_whose_plugin_is_gone_cannot_be_planned(stored, explain, plugin):
    cell = stored()
    plugin.unlink()
    document = explain(cell.key)
    assert (document["reused"], document["today"]) == (False, None)
    assert all("explained_toy.py" in row["now"] for row in document["parts"])


@pytest.mark.parametrize("prefix", ["", "*", "..", "zz", "toy-shift"])
def test_a_prefix_of_no_cell(stored, prefix, capsys):
    stored()
    assert main(["explain", prefix]) == 2
    said = capsys.readouterr().err
    assert "0 cells in runs" in said
    assert "--dataset" in said


def test_a_prefix_of_several_cells(stored, capsys):
    first = stored().key
    for number in range(40):
        if (second := stored(f"toy-shift[iterations={number + 2}]").key)[0] == first[0]:
            break
    assert main(["explain", second[0]]) == 2
    assert "cells in runs have a key that starts with" in capsys.readouterr().err


def test_a_method_with_options_is_planned_and_found(stored, asked):
    cell = stored("toy-shift[lr=0.1]", seeds=[3])
    for words in (["toy-shift[lr=0.1]", "--seeds", "3"],
                  ["toy-shift", "--set", "toy-shift.lr=0.1", "--seed", "3"]):
        document = asked(*words)
        assert (document["key"], document["reused"]) == (cell.key, True)
        assert differing(document) == {}


@pytest.mark.parametrize(("words", "part", "detail"), [
    (["--seeds", "1"], "seed", []), (["--precision", "bf16"], "precision", []),
    (["--preset", "paper"], "preset", []), (["--budget", "10it"], "budget", []),
    (["--threads", "2"], "threads", []),
    (["--set", "toy-shift.lr=0.2"], "method_params", ["lr 0.05 -> 0.2"])])
def test_the_part_in_which_an_asked_cell_differs_from_the_nearest(stored, asked, words, part,
                                                                 detail):
    cell = stored()
    stored("toy-slow")
    stored("toy-shift[iterations=7,lr=1]", precision="bf16", preset="paper", threads=9, ranks=2)
    document = asked("toy-shift", *words)
    assert document["reused"] is False
    assert document["status"] == "no record"
    assert document["compared_with"]["key"] == cell.key
    assert differing(document) == {part: detail}
    assert document["first"].startswith(f"{part}: ")


def test_the_nearest_is_of_the_same_method_and_data_then_ok_then_new(stored, asked):
    stored("toy-slow[iterations=5]")
    stored("toy-shift[iterations=2]")
    near = stored("toy-shift[iterations=3]")
    stored("toy-shift[iterations=4]", status=Status.FAILED)
    stored("toy-shift[iterations=5]", dataset="toy[dim=9]")
    document = asked("toy-shift[iterations=5]")
    assert document["compared_with"] == {"key": near.key, "name": near.name, "status": "ok"}
    assert differing(document) == {"method_params": ["iterations 3 -> 5"]}


def test_an_asked_cell_in_an_empty_store(asked):
    document = asked("toy-shift")
    assert (document["reused"], document["compared_with"], document["parts"]) == (False, None, [])
    assert document["first"] == "runs has no record to compare it with"


def test_unreadable_neighbours_are_passed_over(stored, asked):
    broken, good = stored(seeds=[5]), stored(seeds=[6])
    Path("runs/cells", broken.key, "cell.json").write_text("{")
    assert asked("toy-shift")["compared_with"]["key"] == good.key
    Path("runs/cells", good.key, "cell.json").write_text("3")
    assert asked("toy-shift")["compared_with"] is None


def test_several_cells_are_refused(asked, plugin, capsys):
    for words in (["toy-shift[lr=[1,2]]"], ["toy-shift", "--seeds", "0,1"]):
        assert main(["explain", *words, "--dataset", "toy", "--plugin", str(plugin)]) == 2
        assert "these are 2 cells: toy-shift" in capsys.readouterr().err


def test_a_method_without_a_dataset_is_refused(plugin, capsys):
    assert main(["explain", "toy-shift", "--seeds", "0", "--plugin", str(plugin)]) == 2
    assert "--dataset is missing" in capsys.readouterr().err


def test_help_starts_with_examples(capsys):
    assert main(["explain", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in lines if line.strip()][1] == "Examples:"
