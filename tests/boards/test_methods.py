"""What a board tells of each method; its command must make the same cells again."""

from __future__ import annotations

import shlex
from types import SimpleNamespace

import pytest

from srbench.boards.methods import methods, run_command
from srbench.results.record import StageCost
from srbench.spec import label, parse_specs, split_list
from tests.boards.worlds import given_of, mix_board, mix_records, only, scored
from tests.results.factory import make_record


def options(command: str) -> dict[str, str]:
    """Options of a command as a shell would hand them over."""
    program, verb, *words = shlex.split(command)
    assert (program, verb) == ("srbench", "run")
    names, values = words[::2], words[1::2]
    assert all(name.startswith("--") for name in names)
    return dict(zip(names, values, strict=True))


def record(method="ots", dataset="w2-early", *, source="official", **changes):
    """A cell as a plan makes it: the dataset's text and title come from its parameters."""
    name, given = dataset.partition("[")[0], given_of(dataset)
    shown = {key: value for key, value in given.items() if key != "source"}
    title = label(f"{name}@embedded" if source == "embedded" else name, shown)
    return make_record(method, dataset=dataset, dataset_given=given, title=title, source=source,
                       method_given=given_of(method), **changes)


def test_the_plainest_command():
    assert run_command([record()]) == ("srbench run --methods ots --dataset w2-early --seeds 0 "
                                       "--preset quick")


def test_seeds_are_in_order_and_once():
    cells = [record(seed=seed) for seed in (10, 2, 0)] + [record(dataset="aim19", seed=2)]
    found = options(run_command(cells))
    assert found["--seeds"] == "0,2,10"
    assert split_list(found["--dataset"]) == ["w2-early", "aim19"]


@pytest.mark.parametrize("method", [
    "ots", "wgan-gp[lambda=100]", "wgan-gp[lambda=0.1]", "wgan-gp[lambda=1e-5,net=small]",
    "gan[average=none,on=true]", 'gan[name="a, b=c"]', 'gan[name="1"]',
    'gan[name="it\'s"]', 'gan[name="$(touch x) `y` ;"]'])
def test_the_method_survives_the_shell_and_the_grammar(method):
    given = given_of(method)
    cell = record(label(method.partition("[")[0], given))
    spec, = parse_specs([options(run_command([cell]))["--methods"]])
    assert (spec.name, dict(spec.given)) == (method.partition("[")[0], given)
    assert str(spec) == cell.identity.label


@pytest.mark.parametrize(("dataset", "source", "expected"), [
    ("w2-early", "official", "w2-early"),
    ("w2-early", "embedded", "w2-early[source=embedded]"),
    ("w2-early[source=embedded]", "embedded", "w2-early[source=embedded]"),
    ("w2-early[source=official]", "official", "w2-early[source=official]"),
    ("w2-early[size=32]", "embedded", "w2-early[size=32,source=embedded]"),
    ("mix3tomix10[dim=16]", "official", "mix3tomix10[dim=16]"),
    ('own[folder="a, b"]', "official", 'own[folder="a, b"]'),
    ('own[name="16"]', "official", 'own[name="16"]'),
    ("own[mask=none,turn=false]", "official", "own[mask=none,turn=false]")])
def test_the_dataset_is_the_one_that_was_measured(dataset, source, expected):
    cell = record(dataset=dataset, source=source)
    text = options(run_command([cell]))["--dataset"]
    assert text == expected
    spec, = parse_specs([text])
    shown = {key: value for key, value in spec.given.items() if key != "source"}
    name = f"{spec.name}@embedded" if source == "embedded" else spec.name
    assert label(name, shown) == cell.identity.title
    assert dict(spec.given).items() >= cell.identity.dataset_given.items()


def test_several_datasets_in_one_command():
    records = mix_records({"ots": {2: 1.0, 4: 2.0, 16: 3.0}})
    specs = parse_specs([options(run_command(records))["--dataset"]])
    assert [str(spec) for spec in specs] == ["mix3tomix10[dim=2]", "mix3tomix10[dim=4]",
                                             "mix3tomix10[dim=16]"]


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, {}), ({"budget": "600s"}, {"--budget": "600s"}), ({"preset": "paper"}, {}),
    ({"precision": "bf16"}, {"--precision": "bf16"}), ({"threads": 4}, {"--threads": "4"}),
    ({"budget": "500it", "precision": "bf16", "threads": 2},
     {"--budget": "500it", "--precision": "bf16", "--threads": "2"})])
def test_what_is_not_the_default_is_said(changes, expected):
    found = options(run_command([record(**changes)]))
    assert found.pop("--preset") == changes.get("preset", "quick")
    assert {name: found.get(name) for name in ("--budget", "--precision", "--threads")
            if name in found} == expected


def test_every_option_exists():
    from srbench.cli.run import command

    known = {text for parameter in command.params for text in parameter.opts}
    cell = record(budget="60s", precision="bf16", threads=2)
    assert set(options(run_command([cell]))) <= known


@pytest.mark.parametrize("given", [{"a": [1, 2]}, {"a": {"b": 1}}, {"a": float("nan")}])
def test_a_dataset_that_has_no_text_form_is_named_as_it_was_asked_for(given):
    cell = make_record(dataset="own[a=?]", dataset_given=given)
    assert options(run_command([cell]))["--dataset"] == "own[a=?]"


@pytest.mark.parametrize("hostile", ["; rm -rf x", "$(x)", "`x`", "a\nb", "'\"'", "-rf", ""])
def test_hostile_names_stay_one_word(hostile):
    cell = make_record(hostile, dataset=hostile, budget=hostile, precision=hostile or "fp32")
    found = options(run_command([cell]))
    assert found["--methods"] == hostile
    assert found.get("--budget", "") == hostile


def test_each_row_has_its_method_in_the_order_of_the_table():
    records = [*scored("b", [5.0, 6.0]), *scored("a", 9.0)]
    records[1].cost.stages = [StageCost(name="other", steps=1, seconds=1.0, images=1, calls={})]
    failed = make_record("b", seed=7, status="failed")
    found = methods(only([*records, failed, make_record("c", status="oom")]))
    assert [method.row.label for method in found] == ["b", "a"]
    first = found[0]
    assert first.digest == "a" * 12
    assert first.settings == (("iterations", "500"),)
    assert [stage.name for stage in first.stages] == ["fit"]
    assert first.keys == tuple(own.identity.key[:10] for own in [*records[:2], failed])
    assert options(first.command)["--seeds"] == "0,1,7"
    assert first.citation == ""


def test_the_stages_and_settings_are_of_a_cell_that_finished():
    dead = make_record(seed=0, status="failed", method_params={"iterations": 1})
    dead.cost.stages = []
    found, = methods(only([dead, make_record(seed=1)]))
    assert [stage.name for stage in found.stages] == ["fit"]
    assert found.settings == (("iterations", "500"),)
    assert options(found.command)["--seeds"] == "0,1"


def test_methods_are_cited_as_their_plugins_say():
    entry = SimpleNamespace(info=SimpleNamespace(citation="\n@misc{ots}\n"))
    catalog = SimpleNamespace(methods={"ots": entry})
    board = only([make_record("ots"), make_record("gone", metrics={"l2-uvp": 9.0})])
    assert [method.citation for method in methods(board, catalog)] == ["@misc{ots}", ""]


def test_precisions_have_their_own_commands():
    records = [make_record(), make_record(precision="bf16", metrics={"l2-uvp": 7.0})]
    found = {method.row.label: options(method.command) for method in methods(only(records))}
    assert "--precision" not in found["ots (fp32)"]
    assert found["ots (bf16)"]["--precision"] == "bf16"
    assert {own["--methods"] for own in found.values()} == {"ots"}


def test_a_method_of_several_datasets_has_one_section():
    found, = methods(mix_board(mix_records({"ots": {2: 1.0, 4: 2.0}})))
    assert len(found.keys) == 2
    assert options(found.command)["--dataset"] == "mix3tomix10[dim=2],mix3tomix10[dim=4]"


def test_a_board_without_rows_has_no_methods():
    assert methods(only([make_record(status="failed")])) == ()
