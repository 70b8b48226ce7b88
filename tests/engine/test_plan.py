"""From a request to cells: what is planned, in which order, under which keys."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from srbench.engine.identity import digest_of, key_of
from srbench.errors import ParameterError, PluginError, UnknownName, UsageError
from srbench.plan import Cell, Request, dataset_titles, make_plan
from srbench.registry.catalog import Catalog, Entry, discover
from srbench.registry.infos import DatasetInfo
from srbench.spec import parse_settings, parse_specs

PLUGIN = Path(__file__).resolve().parents[1] / "toy_plugin.py"


@pytest.fixture
def catalog() -> Catalog:
    return discover([PLUGIN])


def request(methods: str = "toy-shift", datasets: str = "toy", **changes) -> Request:
    settings = parse_settings(changes.pop("settings", []))
    return Request(**{"methods": parse_specs([methods]), "datasets": parse_specs([datasets]),
                      "seeds": [0], "preset": "quick", "precision": "fp32", "device": "cpu",
                      "threads": 1, "settings": settings, "metrics": ["l2-uvp"], **changes})


def plan(catalog, *words, **changes) -> list[Cell]:
    return make_plan(request(*words, **changes), catalog, "plan")


def labels(cells) -> list[str]:
    return [f"{cell.identity.label}|{cell.identity.title}|{cell.identity.seed}" for cell in cells]


def test_order_is_dataset_then_method_then_seed(catalog):
    cells = plan(catalog, "toy-slow,toy-shift", "toy,toy[dim=2]", seeds=[3, 1])
    assert labels(cells) == [f"{method}|{dataset}|{seed}" for dataset in ("toy", "toy[dim=2]")
                             for method in ("toy-slow", "toy-shift") for seed in (3, 1)]
    assert cells[0].name == "toy-slow on toy, seed 3"
    assert len({cell.key for cell in cells}) == 8


def test_sweeps_are_one_cell_per_value(catalog):
    cells = plan(catalog, "toy-shift[iterations=[1,2],lr=[0.5,1]]")
    assert [cell.identity.label for cell in cells] == [
        f"toy-shift[iterations={n},lr={lr}]" for n in (1, 2) for lr in (0.5, 1)]
    assert [cell.identity.method_params["lr"] for cell in cells] == [0.5, 1.0, 0.5, 1.0]


def test_the_sweep_of_a_method_is_its_bare_name(catalog):
    entry = catalog.methods["toy-shift"]
    catalog.methods["toy-shift"] = replace(
        entry, info=replace(entry.info, sweep={"iterations": (3, 4)}))
    assert [cell.identity.label for cell in plan(catalog)] == [
        "toy-shift[iterations=3]", "toy-shift[iterations=4]"]
    assert len(plan(catalog, "toy-shift[iterations=9]")) == 1
    assert [cell.identity.method_params["iterations"] for cell in
            plan(catalog, settings=["toy-shift.iterations=8"])] == [8]


@pytest.mark.parametrize(("methods", "datasets", "seeds"), [
    ("toy-shift,toy-shift", "toy", [0]), ("toy-shift", "toy,toy", [0]),
    ("toy-shift", "toy", [0, 0]), ("toy-shift,toy-shift[iterations=200]", "toy", [0]),
    ("toy-shift[iterations=[200],lr=0.05]", "toy,toy[dim=4]", [0])])
def test_a_cell_asked_for_twice_is_planned_once(catalog, methods, datasets, seeds):
    cells = plan(catalog, methods, datasets, seeds=seeds)
    assert len(cells) == 1
    assert cells[0].key == plan(catalog)[0].key


def test_the_spec_wins_over_set(catalog):
    cells = plan(catalog, "toy-shift[iterations=5],toy-shift",
                 settings=["toy-shift.iterations=7", "toy-shift.lr=0.25"])
    assert [(cell.identity.method_params["iterations"], cell.identity.method_params["lr"])
            for cell in cells] == [(5, 0.25), (7, 0.25)]
    assert cells[0].identity.label == "toy-shift[iterations=5,lr=0.25]"
    assert cells[0].identity.method_given == {"iterations": 5, "lr": 0.25}


def test_set_reaches_the_dataset_and_its_spec_wins(catalog):
    by_set, by_spec = plan(catalog, "toy-shift", "toy,toy[dim=3]", settings=["toy.dim=2"])
    assert by_set.identity.dataset_params == {"dim": 2, "test_size": 64}
    assert by_set.identity.dataset_given == {"dim": 2}
    assert by_spec.identity.dataset_params["dim"] == 3
    assert by_set.key == plan(catalog, "toy-shift", "toy[dim=2]")[0].key


@pytest.mark.parametrize(("settings", "error", "words"), [
    (["toy-shfit.lr=1"], UnknownName, "did you mean 'toy-shift'"),
    (["toy-slow.lr=1"], UsageError, "toy-slow takes no part"),
    (["ots.iterations=1"], UsageError, "names in this run: toy, toy-shift"),
    (["toy.size=1"], UnknownName, "no parameter named 'size'"),
    (["toy-shift.lr=0"], ParameterError, "toy-shift: "),
    (["toy-shift.lr=0"], ParameterError, "lr=0")])
def test_settings_that_cannot_hold(catalog, settings, error, words):
    with pytest.raises(error) as caught:
        plan(catalog, settings=settings)
    assert words in str(caught.value)


def test_what_a_datasets_name_fixes_cannot_be_set(catalog):
    toy = catalog.datasets["toy"]
    info = DatasetInfo(name="toy-two", summary="Two.", load=toy.info.load, fixed={"dim": 2})
    catalog.datasets["toy-two"] = replace(toy, info=info)
    cell, = plan(catalog, "toy-shift", "toy-two")
    assert cell.identity.dataset_params["dim"] == 2
    for changes in ({"datasets": "toy-two[dim=5]"},
                    {"datasets": "toy-two", "settings": ["toy-two.dim=5"]},
                    {"datasets": "toy-two[dim=2]"}):
        with pytest.raises(UsageError, match=r"dim=\d cannot be set for toy-two.*dim=2"):
            plan(catalog, "toy-shift", **changes)


def test_a_stand_in_says_so_in_its_title_and_its_source_is_no_part_of_it(catalog):
    class Standin(catalog.dataset("toy").load()):
        source = "embedded"
        notice = "Not the real one."

        class Params(catalog.dataset("toy").load().Params):
            source: str = "auto"

        def fingerprint(self):
            return "standin" + super().fingerprint()

    entry = catalog.datasets["toy"]
    entry.module._cache["Standin"] = Standin
    catalog.datasets["standin"] = replace(entry, info=DatasetInfo(
        name="standin", summary="s", load=entry.info.load.replace(":Toy", ":Standin")))
    try:
        cells = plan(catalog, "toy-shift", "standin[source=embedded],standin[dim=2],toy")
    finally:
        del entry.module._cache["Standin"]
    assert [cell.identity.title for cell in cells] == [
        "standin@embedded", "standin@embedded[dim=2]", "toy"]
    assert cells[0].identity.dataset == "standin[source=embedded]"
    assert dataset_titles(cells) == {"standin@embedded": "Not the real one.",
                                     "standin@embedded[dim=2]": "Not the real one.", "toy": ""}


@pytest.mark.parametrize("changes", [
    {"device": "cuda:3"}, {"checkpoint_seconds": 1.0}, {"memory_gib": 3.0},
    {"gpu_memory_gib": 3.0}, {"ranks": 1},
    {"methods": "toy-shift[lr=0.05,iterations=200]"}, {"datasets": "toy[test_size=64]"},
    {"settings": ["toy-shift.lr=0.05"]}])
def test_what_decides_no_number_does_not_change_the_key(catalog, changes):
    assert plan(catalog, **changes)[0].key == plan(catalog)[0].key


@pytest.mark.parametrize("changes", [
    {"seeds": [1]}, {"preset": "paper"}, {"precision": "bf16"}, {"budget": "600s"},
    {"methods": "toy-slow"}, {"methods": "toy-shift[lr=0.06]"}, {"datasets": "toy[dim=5]"},
    {"datasets": "toy[test_size=65]"}, {"metrics": ["l2-uvp", "cosine"]}, {"threads": 7},
    {"validations": 3}, {"metrics": ["cosine"]}])
def test_what_decides_a_number_changes_the_key(catalog, changes):
    assert plan(catalog, **changes)[0].key != plan(catalog)[0].key


def test_the_order_of_metrics_does_not_change_the_key_but_is_kept(catalog):
    one, = plan(catalog, metrics=["cosine", "l2-uvp"])
    other, = plan(catalog, metrics=["l2-uvp", "cosine"])
    assert one.key == other.key
    assert (one.metrics, other.metrics) == (["cosine", "l2-uvp"], ["l2-uvp", "cosine"])


def test_no_metrics_are_all_of_them(catalog):
    cell, = plan(catalog, metrics=[])
    assert cell.metrics == list(catalog.metrics)
    assert {"psnr", "l2-uvp", "cosine"} <= set(cell.metrics)


@pytest.mark.parametrize(("changes", "kind"), [
    ({"methods": "toy"}, "method"), ({"datasets": "toy-shift"}, "dataset"),
    ({"metrics": ["psnrr"]}, "metric")])
def test_unknown_names(catalog, changes, kind):
    with pytest.raises(UnknownName) as caught:
        plan(catalog, **changes)
    assert caught.value.kind == kind


def test_cells_of_further_seeds_are_as_if_planned_alone(catalog):
    together = plan(catalog, "toy-shift[lr=[0.5,1]]", seeds=[4, 0, 7])
    assert [cell.identity.seed for cell in together] == [4, 0, 7] * 2
    for cell in together:
        alone, = plan(catalog, cell.identity.label, seeds=[cell.identity.seed])
        assert cell == alone
        assert cell.key == key_of(cell.parts)
        assert cell.parts["seed"] == cell.identity.seed


def test_what_does_not_depend_on_the_seed_is_worked_out_once(catalog, monkeypatch):
    cls = catalog.dataset("toy").load()
    calls = []
    monkeypatch.setattr(cls, "fingerprint", lambda self: calls.append(1) or "f" * 64)
    resolve = catalog.method("toy-shift").load().Params.resolve
    monkeypatch.setattr(catalog.method("toy-shift").load().Params, "resolve",
                        lambda *words: calls.append(2) or resolve(*words))
    assert len(plan(catalog, "toy-shift[lr=[0.5,1]]", seeds=list(range(50)))) == 100
    assert sorted(calls) == [1, 2, 2]


def test_an_edit_between_two_plans_of_one_process_is_seen(tmp_path):
    path = tmp_path / "edited_toy.py"
    text = PLUGIN.read_text()
    path.write_text(text)
    catalog = discover([path])
    before, = plan(catalog)
    path.write_text(text.replace("gap.square().sum()", "gap.square().max()"))  # of equal length
    after, = plan(catalog)
    assert {part for part in before.parts if before.parts[part] != after.parts[part]} == {
        "method_code", "dataset_code"}
    path.write_text(text)
    assert plan(catalog)[0].key == before.key


def test_a_cell_says_where_everything_came_from(catalog):
    cell, = plan(catalog)
    assert cell.origin.method_distribution == cell.origin.dataset_distribution == "file"
    assert cell.plugins == [str(PLUGIN)]
    assert cell.identity.plan == "plan"
    assert cell.origin.dataset_fingerprint == cell.parts["dataset_fingerprint"]
    assert cell.origin.method_digest == cell.parts["method_code"] == digest_of(
        cell.code["method_code"])
    assert cell.origin.dataset_digest == cell.parts["dataset_code"]
    assert cell.origin.srbench_digest == cell.parts["srbench_code"]
    assert set(cell.code["method_code"]) == {"toy_plugin.py"}
    assert "srbench/engine/cell.py" in cell.code["srbench_code"]
    assert cell.parts["method_params"] == cell.identity.method_params


@pytest.mark.parametrize("spec", ["toy-shift", "toy-shift[lr=inf]", "toy-shift[lr=1e-7]"])
def test_a_cell_comes_back_from_its_file(catalog, spec):
    cell, = plan(catalog, spec)
    back = Cell.model_validate_json(cell.model_dump_json(indent=1))
    assert back == cell
    cls = catalog.method("toy-shift").load()
    params = cls.Params.model_validate_json(json.dumps(back.identity.method_params))
    assert params == cls.Params.resolve("quick", "vector", cell.identity.method_given)


def test_an_implementation_that_is_not_there_is_named(catalog):
    entry = catalog.methods["toy-shift"]
    catalog.methods["toy-shift"] = replace(entry, info=replace(entry.info, load="absent_xyz:Thing"))
    with pytest.raises(PluginError, match="absent_xyz"):
        plan(catalog)


def test_a_method_that_cannot_be_imported_is_planned_as_given(catalog, monkeypatch):
    """Its cells then say why in their records, and the others run."""
    def broken(self):
        if self.info.name == "toy-raise":
            raise PluginError("importing it raised ZeroDivisionError")
        return load(self)

    load = Entry.load
    monkeypatch.setattr(Entry, "load", broken)
    cells = plan(catalog, "toy-raise[lr=0.5],toy-shift")
    assert labels(cells) == ["toy-raise[lr=0.5]|toy|0", "toy-shift|toy|0"]
    assert cells[0].identity.method_params == {"lr": 0.5}


def test_a_method_that_cannot_be_spread_is_trained_by_one_process(catalog):
    kind = catalog.method("toy-shift").load()
    alone, = plan(catalog)
    assert not kind.distributed
    spread, = plan(catalog, ranks=2)
    assert (spread.ranks, spread.key) == (1, alone.key)
    kind.distributed = True
    try:
        spread, = plan(catalog, ranks=2)
    finally:
        kind.distributed = False
    assert (spread.ranks, spread.parts["ranks"]) == (2, 2)
    assert spread.key != alone.key


def test_memory_to_pack_a_cell_by_is_the_users_word_else_the_plugins(catalog):
    entry = catalog.methods["toy-shift"]
    info = replace(entry.info, memory_gib={"quick": 1.5, "paper": 7.0})
    catalog.methods["toy-shift"] = replace(entry, info=info)
    silent, = plan(catalog)
    told, = plan(catalog, memory_gib=3.0)
    assert (silent.memory_gib, told.memory_gib) == (1.5, 3.0)
    assert silent.key == told.key
