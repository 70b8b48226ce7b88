"""``srbench info`` and ``srbench list`` about what is really installed, and parameters in words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar, Literal

import click
import pytest

from srbench import Field, Parameters
from srbench.cli import main
from srbench.cli.exits import ExitCode
from srbench.cli.options import complete_names
from srbench.cli.parameters import parameter_rows, type_words
from srbench.cli.shell import VERBS, cli
from srbench.registry.catalog import discover

INSTALLED = discover([])
NAMES = [entry.info.name for _, entry in INSTALLED.entries()]


@pytest.fixture
def ask(capsys):
    """Run a command that must succeed and return its stdout."""
    def run(*words):
        assert main([*map(str, words)]) == ExitCode.OK
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out
    return run


@pytest.mark.parametrize("name", NAMES)
def test_the_card_of_every_installed_name_is_whole(ask, name):
    card = json.loads(ask("info", name, "--json"))
    kind, entry = next(pair for pair in INSTALLED.entries() if pair[1].info.name == name)
    assert (card["kind"], card["name"], card["load"]) == (kind, name, entry.info.load)
    assert card["summary"].endswith(".")
    assert card["unavailable"] is None
    text = ask("info", name)
    assert text.startswith(f"{name} ({kind})\n")
    assert card["usage"] in text
    for parameter in card["parameters"]:
        assert re.search(rf"^{re.escape(parameter['name'])}\s", text, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_the_command_it_shows_is_one(ask, name):
    verb, *words = json.loads(ask("info", name, "--json"))["usage"].split()[1:]
    command = cli.get_command(click.Context(cli), verb)
    options = {option for parameter in command.params for option in parameter.opts}
    assert set(words[::2]) <= options
    assert name in words


@pytest.mark.parametrize("kind", ["method", "dataset"])
def test_parameters_presets_and_what_is_fixed_follow_the_class(ask, kind):
    for found, entry in INSTALLED.entries():
        if found != kind:
            continue
        card = json.loads(ask("info", entry.info.name, "--json"))
        params = entry.load().Params
        assert [row["name"] for row in card["parameters"]] == list(params.public_names())
        assert card["presets"] == list(params.presets)
        assert card["fixed"] == dict(getattr(entry.info, "fixed", {}))
        assert set(card["fixed"]) <= set(params.public_names())
        for row in card["parameters"]:
            for preset, value in row["presets"].items():
                name, _, domain = preset.partition("@")
                resolved = params.resolve(name, domain, card["fixed"])
                assert resolved.model_dump(by_alias=True, mode="json")[row["name"]] == value


def test_the_list_is_the_catalogs(ask):
    document = json.loads(ask("list", "--json"))
    assert document["broken"] == []
    for kind in ("method", "dataset", "metric"):
        wanted = [entry.info.name for found, entry in INSTALLED.entries() if found == kind]
        assert [row["name"] for row in document[f"{kind}s"]] == wanted
        lines = ask("list", f"{kind}s").splitlines()
        assert lines[0] == f"{kind}s"
        assert [line.split()[0] for line in lines[2:] if line] == wanted
    assert "l2-uvp-official" in ask("list")


def test_metrics_are_listed_with_direction_and_unit(ask):
    rows = {row["name"]: row for row in json.loads(ask("list", "metrics", "--json"))["metrics"]}
    assert (rows["psnr"]["unit"], rows["psnr"]["direction"]) == ("dB", "higher")
    assert (rows["l2-uvp"]["unit"], rows["l2-uvp"]["direction"]) == ("%", "lower")
    assert rows["palette-variance"]["direction"] == "target"


def test_plugins_of_the_project_provide_what_the_list_shows(ask):
    rows = json.loads(ask("list", "plugins", "--json"))["plugins"]
    provided = [name for row in rows for kind in ("methods", "datasets", "metrics", "trackers")
                for name in row[kind]]
    assert sorted(provided) == sorted([*NAMES, *INSTALLED.trackers])
    assert {row["plugin"] for row in rows} >= {"metrics", "ots", "w2", "wgan-gp"}


@pytest.mark.parametrize(("name", "guess"), [("otss", "ots"), ("w2-erly", "w2-early"),
                                             ("pnsr", "psnr")])
def test_an_unknown_name_is_answered_with_the_nearest(capsys, name, guess):
    assert main(["info", name]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (f"error: no method, dataset, metric or tracker named {name!r}; "
                            f"did you mean {guess!r}?\nhint: srbench list\n")


def test_a_name_that_is_a_method_and_a_dataset_has_two_cards(ask, tmp_path):
    path = tmp_path / "twins_of_a_name.py"
    path.write_text(TWINS)
    cards = json.loads(ask("info", "twins", "--json", "--plugin", path))
    assert [card["kind"] for card in cards] == ["method", "dataset"]
    text = ask("info", "twins", "--plugin", path)
    assert "twins (method)\n" in text
    assert "twins (dataset)\n" in text
    assert re.search(r"^size\s+int\s+required\s+>= 1, <= 9\s+many\s*$", text, re.MULTILINE)
    assert re.search(r"^summary\s+First line\.$", text, re.MULTILINE)


TWINS = """
from srbench import Dataset, DatasetInfo, Field, Method, MethodInfo, Parameters, hookimpl

@hookimpl
def srbench_methods():
    return [MethodInfo(name="twins", summary="First line.", load="twins_of_a_name:A")]

@hookimpl
def srbench_datasets():
    return [DatasetInfo(name="twins", summary="Second.", load="twins_of_a_name:B")]

class A(Method):
    class Params(Parameters):
        size: int = Field(ge=1, le=9, description="many")
    fit = forward = None

class B(Dataset):
    fingerprint = sample_lr = sample_hr = test_batches = validation_batches = facts = None
"""


@pytest.mark.parametrize(("annotation", "words"), [
    (int, "int"), (float | None, "float or none"), (Literal["adam", "sgd"], "adam or sgd"),
    (Literal[2, 4], "2 or 4"), (None, "none"), (bool | int | str, "bool or int or str"),
    (list[int], "list[int]"), (tuple[int, ...], "tuple[int, ...]"), (Path, "Path"), (Any, "Any")])
def test_types_in_words(annotation, words):
    assert type_words(annotation) == words


class Sample(Parameters):
    rate: float = Field(1e-4, gt=0, le=0.5, description="step size")
    kept: list[int] = Field([1, 2], min_length=1, max_length=3)
    folder: Path = Path("data")
    flag: bool = False
    momentum: float | None = Field(None, alias="mu", ge=0)
    batch: int = Field(multiple_of=8)
    presets: ClassVar = {"quick": {"mu": 0.5, "batch": 8}, "paper": {"momentum": 0.9, "rate": 0.01}}


def test_rows_of_parameters():
    rows = {row["name"]: row for row in parameter_rows(Sample)}
    assert list(rows) == ["rate", "kept", "folder", "flag", "mu", "batch"]
    assert rows["rate"]["bounds"] == "> 0, <= 0.5"
    assert rows["kept"]["bounds"] == "length >= 1, length <= 3"
    assert rows["batch"]["bounds"] == "multiple of 8"
    assert (rows["batch"]["required"], rows["batch"]["default"]) == (True, None)
    assert (rows["mu"]["required"], rows["mu"]["default"]) == (False, None)
    assert rows["folder"]["default"] == "data"
    assert rows["flag"]["default"] is False
    assert rows["kept"]["default"] == [1, 2]
    assert rows["mu"]["presets"] == {"quick": 0.5, "paper": 0.9}  # by either of its names
    assert rows["rate"]["presets"] == {"paper": 0.01}
    assert rows["rate"]["description"] == "step size"
    json.dumps(list(rows.values()), allow_nan=False)


def test_rows_do_not_share_the_default_of_the_class():
    parameter_rows(Sample)[1]["default"].append(9)
    assert parameter_rows(Sample)[1]["default"] == [1, 2]


def test_names_are_completed_with_their_kind():
    found = {item.value: item.help for item in complete_names(None, None, "w2-")}
    assert set(found) == {name for name in NAMES if name.startswith("w2-")}
    assert all(text.startswith("dataset: ") for text in found.values())
    assert complete_names(None, None, "zzz") == []


@pytest.mark.parametrize("name", VERBS)
def test_every_option_of_every_command_is_explained(capsys, name):
    assert main([name, "--help"]) == ExitCode.OK
    captured = capsys.readouterr()
    assert captured.err == ""
    command = cli.get_command(click.Context(cli), name)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, (name, parameter.name)
            assert parameter.opts[-1] in captured.out


@pytest.mark.parametrize("name", VERBS)
def test_examples_in_the_help_use_words_the_command_knows(name):
    command = cli.get_command(click.Context(cli), name)
    options = {option for parameter in command.params for option in parameter.opts}
    block = command.help.partition("Examples:")[2].partition("\n\n")[0]
    examples = [line.split() for line in block.splitlines() if line.strip()]
    assert len(examples) >= 2
    for program, verb, *words in examples:
        assert (program, verb) == ("srbench", name)
        assert {word for word in words if word.startswith("--")} <= options
        known = {"ots", "wgan-gp", "w2-early"}
        assert known & set(NAMES) == known
