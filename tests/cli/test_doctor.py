"""``srbench doctor``: each kind of fault is seen, and each remedy can be typed or set."""

from __future__ import annotations

import json
import re
import shlex
import sys
from types import SimpleNamespace

import pytest
import torch

import srbench
from srbench.backbones import BACKBONES, store
from srbench.cli import doctor, main
from srbench.cli.console import output
from srbench.cli.exits import ExitCode
from srbench.cli.shell import VERBS, LazyGroup, cli
from srbench.errors import MissingDependency, PluginError


def run(capsys, *words):
    code = main(["doctor", *map(str, words)])
    captured = capsys.readouterr()
    assert captured.err == ""
    return code, captured.out


def is_srbench_command(line: str) -> bool:
    """Whether every word of an ``srbench`` line is one that the command line takes."""
    words = shlex.split(line)
    if words[:1] != ["srbench"] or words[1] not in VERBS:
        return False
    assert isinstance(cli, LazyGroup)
    command = cli.get_command(None, words[1])
    options = {option for parameter in command.params for option in parameter.opts}
    return all(word in options for word in words[2:] if word.startswith("-"))


def test_a_fresh_machine_lacks_weights_and_data_and_exits_with_0(capsys, tmp_path):
    code, out = run(capsys, "--json", "--runs", tmp_path)
    document = json.loads(out)
    checks = {check["what"]: check for check in document["checks"]}
    assert code == ExitCode.OK  # absent is not broken
    assert len(checks) == len(document["checks"])
    for name in BACKBONES:
        assert not checks[f"weights {name}"]["ok"]
        assert checks[f"weights {name}"]["remedy"] == f"srbench fetch weights {name}"
        assert not checks[f"weights {name}"]["broken"]
    assert checks["torch"]["detail"] == torch.__version__
    assert checks["srbench"]["detail"] == srbench.__version__
    assert document["ok"] is False


def test_every_remedy_is_a_command_of_ours_pip_or_a_setting(capsys, tmp_path):
    document = json.loads(run(capsys, "--json", "--runs", tmp_path)[1])
    remedies = [check["remedy"] for check in document["checks"] if not check["ok"]]
    assert remedies
    for line in remedies:
        assert is_srbench_command(line) or re.match(r"pip (un)?install |SRBENCH_\w+=", line), line
    assert all(check["remedy"] == "" for check in document["checks"] if check["ok"])


def test_the_judge_of_remedies_knows_a_wrong_one():
    assert is_srbench_command("srbench fetch weights inception")
    assert is_srbench_command("srbench run --runs DIR")
    assert not is_srbench_command("srbench get weights")
    assert not is_srbench_command("srbench fetch --wieghts")
    assert not is_srbench_command("pip install x")


def test_weights_that_are_here_are_ok_and_damaged_ones_are_not(capsys, tmp_path):
    one = BACKBONES["alexnet"]
    path = store(one, {"features.0.weight": torch.ones(1, 1, 1, 1)}, "a test")
    lines = {check.what: check for check in doctor.check_weights()}
    assert lines["weights alexnet"].ok
    assert "verified, from a test" in lines["weights alexnet"].detail
    assert lines["weights alexnet"].remedy == ""

    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    code, out = run(capsys, "--runs", tmp_path)
    line = next(line for line in out.splitlines() if " weights alexnet " in line)
    assert line.startswith("fix")
    assert "is not what was stored" in line
    assert line.endswith("mend with: srbench fetch weights alexnet")
    assert code == ExitCode.OK


def test_an_installed_copy_that_is_not_the_code(monkeypatch):
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "0.0.1")
    check = list(doctor.check_python())[1]
    assert not check.ok
    assert check.detail == f"the code is {srbench.__version__}, its metadata says 0.0.1"
    assert check.remedy.startswith("pip install")


def test_a_copy_that_is_not_installed(monkeypatch):
    def absent(name):
        raise doctor.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, "version", absent)
    python, check = doctor.check_python()
    assert python.ok
    assert sys.executable in python.detail
    assert "not installed: no plugin is found" in check.detail
    assert check.remedy == "pip install -e ."


def test_a_torch_that_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    check, = doctor.check_torch()
    assert not check.ok
    assert check.detail.startswith("cannot be imported: ")
    assert check.remedy == "pip install --force-reinstall torch"


@pytest.mark.parametrize(("module", "check"), [
    ("srbench.weights", lambda tmp: list(doctor.check_weights())),
    ("srbench.files", lambda tmp: list(doctor.check_disk(tmp))[1:])])
def test_parts_of_srbench_that_cannot_be_imported(monkeypatch, tmp_path, module, check):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delattr(srbench, module.rpartition(".")[2], raising=False)
    found, = check(tmp_path)
    assert not found.ok
    assert found.remedy == "pip install --force-reinstall srbench"


def test_gpus_are_named_with_their_memory(monkeypatch):
    card = SimpleNamespace(name="A card", total_memory=80 * 1024**3)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    checks = {check.what: check.detail for check in doctor.check_torch()}
    assert checks["gpu"] == "A card 80 GiB, A card 80 GiB"


def test_a_folder_that_may_not_be_written_to(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    runs, cache = doctor.check_disk(tmp_path / "not" / "yet")
    assert not runs.ok
    assert runs.detail.endswith(", not writable")
    assert runs.remedy.startswith("srbench run --runs DIR")
    assert cache.remedy.startswith("SRBENCH_CACHE=")
    assert not (tmp_path / "not").exists()  # looking makes nothing


@pytest.mark.parametrize(("short", "ok"), [(0, True), (1, False)])
def test_how_much_space_is_enough(monkeypatch, tmp_path, short, ok):
    free = SimpleNamespace(free=doctor.LEAST_FREE - short)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: free)
    assert [check.ok for check in doctor.check_disk(tmp_path)] == [ok, ok]


def entry(name, load, origin="other:other"):
    return SimpleNamespace(info=SimpleNamespace(name=name), load=load, origin=origin,
                           distribution="other", plugin="other")


def raiser(error):
    def load():
        raise error
    return load


def test_a_plugin_whose_status_fails_is_broken_and_the_others_are_asked():
    class Bad:
        @staticmethod
        def status():
            return 1 / 0

    class Good:
        @staticmethod
        def status():
            return [("faces", True, "3 files", "ignored where ok")]

    catalog = SimpleNamespace(datasets={
        "absent": entry("absent", raiser(MissingDependency("no x"))),
        "bad": entry("bad", lambda: Bad), "good": entry("good", lambda: Good),
        "again": entry("again", lambda: Good), "quiet": entry("quiet", lambda: object)})
    bad, good = doctor.check_datasets(catalog)
    assert (bad.what, bad.broken) == ("data bad", True)
    assert bad.detail == "other:other raised ZeroDivisionError: division by zero"
    assert bad.remedy.startswith("pip ")
    assert (good.what, good.ok, good.remedy) == ("data faces", True, "")


def test_what_is_missing_is_not_broken_and_what_is_wrong_is():
    broken = SimpleNamespace(origin="third:third", reason="1 / 0", remedy="pip uninstall third")
    entries = [("method", entry("works", lambda: object)),
               ("method", entry("hungry", raiser(MissingDependency("no x", hint="pip install x")))),
               ("metric", entry("wrong", raiser(PluginError("no class", hint="upgrade it"))))]
    tracker = SimpleNamespace(name="diary", origin="third:diary")
    catalog = SimpleNamespace(entries=lambda: entries, broken=[broken],
                              trackers={"diary": tracker})
    found = {check.what: check for check in doctor.check_plugins(catalog)}
    assert found["plugin other:other"].detail == "works"
    assert (found["plugin third:diary"].ok, found["plugin third:diary"].detail) == (True, "diary")
    assert found["implementation hungry"].remedy == "pip install x"
    assert [name for name, check in found.items() if check.broken] == [
        "implementation wrong", "plugin third:third"]


def test_a_broken_plugin_is_the_exit_code(capsys, tmp_path, monkeypatch):
    path = tmp_path / "bad_plugin.py"
    path.write_text("from srbench import hookimpl, MethodInfo\n\n@hookimpl\ndef srbench_methods():"
                    "\n    return [MethodInfo(name='bad', summary='Bad.', load='bad_plugin:No')]\n")
    monkeypatch.chdir(tmp_path)
    code, out = run(capsys, "--plugin", path)
    assert code == ExitCode.CELLS
    line = next(line for line in out.splitlines() if "implementation bad" in line)
    assert line.startswith("fix")
    assert "bad_plugin has no 'No'" in line


def test_outside_of_a_command_there_is_an_output_too(capsys):
    output().table(("a", "b"), [("1", "2")])
    assert capsys.readouterr().out == "a  b\n1  2\n"
