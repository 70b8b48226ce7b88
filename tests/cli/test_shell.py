"""The command line through its real door, with distributions installed for the purpose."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from srbench import __version__, errors
from srbench.cli import cli, main
from srbench.cli.console import Output, align, output, wants_color
from srbench.cli.exits import ExitCode
from srbench.cli.shell import VERBS
from tests.fakes import ROOT, install, install_good, srbench

ESCAPE = "\x1b["


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A good plugin, one that needs a package, one with a typo, one that fails at import."""
    folder = tmp_path_factory.mktemp("site")
    install_good(folder)
    install(folder, "hungry", {"hungry": "hungry_plugin"}, {
        "hungry_plugin": """
            from srbench import DatasetInfo, MethodInfo, hookimpl

            @hookimpl
            def srbench_methods():
                return [MethodInfo(name="hungry", summary="Needs a package.", load="hungry_impl:C"),
                        MethodInfo(name="empty", summary="Has no class.", load="empty_impl:C")]

            @hookimpl
            def srbench_datasets():
                return [DatasetInfo(name="faces-early", summary="Faces.", load="faces_impl:Faces",
                                    fixed={"pair": "early"}),
                        DatasetInfo(name="faces-late", summary="Faces.", load="faces_impl:Faces",
                                    fixed={"pair": "late"})]
            """,
        "hungry_impl": "import no_such_package",
        "empty_impl": "",
        "faces_impl": """
            from srbench import Dataset, Field, Parameters

            class Faces(Dataset):
                class Params(Parameters):
                    pair: str = "early"
                    folder: str | None = None

                fingerprint = sample_lr = sample_hr = test_batches = validation_batches = None

                @classmethod
                def status(cls):
                    return [("faces", False, "not at ~/faces", "srbench fetch faces"),
                            ("masks", True, "3 files", "")]
            """})
    install(folder, "typo", {"typo": "typo_plugin"}, {"typo_plugin": """
        from srbench import hookimpl

        @hookimpl
        def srbench_metods():
            return []
        """})
    install(folder, "crash", {"crash": "crash_plugin"}, {"crash_plugin": "1 / 0"})
    return folder


def test_every_command_is_listed_without_being_imported():
    code = ("import sys; from srbench.cli import main; code = main(['--help']); "
            "names = [n for n in sys.modules if n.startswith('srbench.cli.')]; "
            "print(sorted(names), file=sys.stderr); sys.exit(code)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name, verb in VERBS.items():
        assert f"  {name} " in done.stdout
        assert verb.summary in done.stdout
        assert f"srbench.cli.{name}'" not in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["list"], ["list", "--json"], ["--version"],
                                   ["list", "--help"], ["info", "--help"], ["doctor", "--help"]])
def test_reading_commands_are_light(words, tmp_path):
    """Heavy packages take longer to import than a person waits for a list."""
    code = ("import sys; from srbench.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n"
            "    heavy = {'torch', 'pandas', 'pydantic', 'numpy', 'rich', 'jinja2'}\n"
            "    print(sorted(heavy & set(sys.modules)), file=sys.stderr)")
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, text=True,
                          capture_output=True, check=True)
    print(f"srbench {' '.join(words)}: {time.perf_counter() - started:.2f} s")  # noqa: T201
    assert done.stderr.splitlines()[-1] == "[]"
    assert done.stdout


@pytest.mark.parametrize("name", ["", *VERBS])
def test_help_starts_with_two_examples(name):
    words = [name, "--help"] if name else ["--help"]
    result = CliRunner().invoke(cli, words, prog_name="srbench")
    assert result.exit_code == 0, result.output
    lines = [line.strip() for line in result.stdout.splitlines() if line.strip()]
    assert lines[0].startswith(f"Usage: srbench {name}".strip())
    assert "Examples:" in lines[1:3]
    first = lines.index("Examples:") + 1
    assert lines[first].startswith("srbench ")
    assert lines[first + 1].startswith("srbench ")
    assert "-h, --help" in result.stdout
    assert "--color" in result.stdout


def test_help_mentions_completion_and_completion_works():
    assert '_SRBENCH_COMPLETE=bash_source srbench' in srbench("--help").stdout
    script = srbench(_SRBENCH_COMPLETE="bash_source")
    assert "complete" in script.stdout
    words = srbench(_SRBENCH_COMPLETE="bash_complete", COMP_WORDS="srbench do", COMP_CWORD="1")
    assert words.stdout.split() == ["plain,doctor"]


def test_names_are_completed(site):
    words = srbench(site=site, _SRBENCH_COMPLETE="bash_complete", COMP_WORDS="srbench info wo",
                    COMP_CWORD="2")
    assert words.stdout.split() == ["plain,works"]


def test_version():
    assert srbench("--version").stdout == f"srbench {__version__}\n"


def test_list_shows_what_works_and_the_broken_ones_last(site):
    done = srbench("list", site=site)
    assert done.returncode == 0
    assert done.stderr == ""
    works = done.stdout.index("\nworks ")
    broken = done.stdout.index("broken plugins")
    assert works < broken
    tail = done.stdout[broken:]
    assert "crash:crash" in tail
    assert "ZeroDivisionError: division by zero" in tail
    assert "unknown hook 'srbench_metods'; did you mean 'srbench_methods'?" in tail
    assert "good:good 1.0" in done.stdout[:broken]
    assert ESCAPE not in done.stdout


def test_list_of_one_kind(site):
    done = srbench("list", "datasets", site=site)
    assert done.stdout.startswith("datasets\n")
    assert "faces-early" in done.stdout
    assert "works" not in done.stdout
    assert srbench("list", "dataset", site=site).returncode == 2


def test_list_as_json(site):
    document = json.loads(srbench("list", "--json", site=site).stdout)
    assert set(document) == {"methods", "datasets", "metrics", "trackers", "broken"}
    works, = (row for row in document["methods"] if row["name"] == "works")
    assert works == {"name": "works", "summary": "A method that works.", "plugin": "good",
                     "distribution": "good", "version": "1.0", "sweep": {"lambda": [0, 1]}}
    faces, = (row for row in document["datasets"] if row["name"] == "faces-late")
    assert faces["fixed"] == {"pair": "late"}
    assert {row["plugin"] for row in document["broken"]} >= {"typo", "crash"}
    plugins = json.loads(srbench("list", "plugins", "--json", site=site).stdout)
    hungry, = (row for row in plugins["plugins"] if row["distribution"] == "hungry")
    assert hungry["methods"] == ["hungry", "empty"]
    assert hungry["datasets"] == ["faces-early", "faces-late"]


def test_list_of_plugins_says_what_each_provides(site):
    line, = (line for line in srbench("list", "plugins", site=site).stdout.splitlines()
             if line.startswith("hungry:hungry"))
    assert line.split(None, 2)[1:] == [
        "1.0", "methods hungry, empty; datasets faces-early, faces-late"]


def test_a_file_joins_the_list(tmp_path):
    path = tmp_path / "single_file.py"
    path.write_text("from srbench import MethodInfo, hookimpl\n\n@hookimpl\n"
                    "def srbench_methods():\n    return [MethodInfo(name='single', summary='One.',"
                    " load='single_file:C')]\n")
    assert "single" in srbench("list", "methods", "--plugin", str(path)).stdout
    done = srbench("list", "--plugin", str(tmp_path / "absent.py"))
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.startswith("error: no plugin file")


def test_lines_are_not_wrapped_off_a_terminal(tmp_path):
    summary = "A very long sentence " * 12
    install(tmp_path, "long", {"long": "long_plugin"}, {"long_plugin": f"""
        from srbench import MethodInfo, hookimpl

        @hookimpl
        def srbench_methods():
            return [MethodInfo(name="long", summary={summary!r}, load="m:C")]
        """})
    assert summary.strip() in srbench("list", site=tmp_path, COLUMNS="40").stdout


def test_info_shows_parameters_presets_and_a_command(site):
    done = srbench("info", "works", site=site)
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert text.startswith("works (method)\n")
    for fact in ("A method that works.", "a paper", "@misc{cited}", "good:good 1.0",
                 "srbench run --methods works --dataset DATASET", "lambda=[0,1]"):
        assert fact in text
    rows = {line.split()[0]: line for line in text.splitlines() if line}
    assert re.fullmatch(r"parameter\s+type\s+default\s+bounds\s+quick\s+paper\s+meaning",
                        rows["parameter"])
    # "lambda" starts two lines: the later one is the parameter's.
    assert re.fullmatch(r"lambda\s+float\s+0.5\s+>= 0, < 10\s+2.5\s+how much", rows["lambda"])
    assert re.fullmatch(r"steps\s+int\s+100\s+> 0\s+7\s+900", rows["steps"])
    assert re.fullmatch(r"kind\s+adam or sgd\s+adam", rows["kind"])


def test_info_as_json_is_checked_against_the_class_itself(site):
    card = json.loads(srbench("info", "works", "--json", site=site).stdout)
    parameters = {row["name"]: row for row in card["parameters"]}
    assert list(parameters) == ["lambda", "steps", "kind"]
    assert parameters["lambda"] == {
        "name": "lambda", "type": "float", "default": 0.5, "required": False,
        "bounds": ">= 0, < 10", "description": "how much", "presets": {"paper": 2.5}}
    assert card["presets"] == ["quick", "paper"]
    assert card["sweep"] == {"lambda": [0, 1]}
    assert card["unavailable"] is None


def test_info_marks_what_a_datasets_name_fixes(site):
    text = srbench("info", "faces-late", site=site).stdout
    assert re.search(r"^pair\s+str\s+late \(fixed\)$", text, re.MULTILINE)
    assert re.search(r"^folder\s+str or none\s+none$", text, re.MULTILINE)
    assert "srbench run --methods METHOD --dataset faces-late" in text


def test_info_of_a_metric_names_its_protocol(site):
    card = json.loads(srbench("info", "psnr", "--json", site=site).stdout)
    from srbench.evaluation.psnr import PSNR

    assert card["kind"] == "metric"
    assert card["protocol"] == PSNR.protocol
    assert card["direction"] == "higher"


@pytest.mark.parametrize(("name", "code", "error", "hint"), [
    ("hungry", 1, "needs the package 'no_such_package'", "pip install no_such_package"),
    ("empty", 2, "empty_impl has no 'C'", "pip install --upgrade hungry"),
    ("crash", 2, "'crash' comes from broken plugin crash:crash: ZeroDivisionError",
     "pip uninstall crash"),
    ("wroks", 2, "no method, dataset, metric or tracker named 'wroks'; did you mean 'works'?",
     "srbench list"),
])
def test_info_of_what_cannot_be_used(site, name, code, error, hint):
    done = srbench("info", name, site=site)
    assert done.returncode == code
    first, second = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert error in first
    assert second.startswith("hint: ")
    assert hint in second
    assert ("Needs a package." in done.stdout) == (name == "hungry")


@pytest.fixture(scope="module")
def diagnosis(site, tmp_path_factory) -> subprocess.CompletedProcess:
    folder = tmp_path_factory.mktemp("work")
    return srbench("doctor", "--json", site=site, cwd=folder, SRBENCH_CACHE=str(folder / "cache"))


def test_doctor_gives_each_fault_its_remedy(diagnosis):
    document = json.loads(diagnosis.stdout)
    checks = {check["what"]: check for check in document["checks"]}
    assert document["ok"] is False
    for what in ("python", "srbench", "torch", "gpu", "threads", "runs", "cache"):
        assert what in checks
    assert checks["data faces"] == {
        "what": "data faces", "ok": False, "detail": "not at ~/faces",
        "remedy": "srbench fetch faces", "broken": False}
    assert checks["data masks"]["ok"]
    assert checks["plugin good:good"]["detail"] == "works"
    assert checks["implementation hungry"]["remedy"] == "pip install no_such_package"
    assert not checks["implementation hungry"]["broken"]
    assert checks["implementation empty"]["broken"]
    assert "division by zero" in checks["plugin crash:crash"]["detail"]
    for check in document["checks"]:
        assert check["ok"] or check["remedy"], check
    assert [check["what"] for check in document["checks"]].count("data faces") == 1


def test_doctor_exits_with_3_when_a_plugin_is_broken(diagnosis):
    assert diagnosis.returncode == ExitCode.CELLS


def test_doctor_writes_one_line_for_each_check(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["doctor", "--runs", "deep/runs"], standalone_mode=False)
    lines = result.stdout.splitlines()[1:]
    assert lines
    for line in lines:
        assert re.match(r"(ok|fix)\s{2,}\S", line)
        assert ("; mend with: " in line) == line.startswith("fix")
    assert any(re.match(r"ok\s+runs\s+deep/runs: [\d.]+ GiB free", line) for line in lines)


def test_doctor_reports_a_full_disk(monkeypatch, tmp_path):
    from srbench.cli import doctor

    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
    check, _ = doctor.check_disk(tmp_path / "not" / "there")
    assert not check.ok
    assert "0.0 GiB free" in check.detail
    assert "--runs" in check.remedy


@pytest.mark.parametrize(("words", "error", "hint"), [
    (["lst"], "no command named 'lst'; did you mean 'list'?", "srbench --help"),
    (["qqqq"], "no command named 'qqqq'", "srbench --help"),
    (["list", "--jsn"], "--json", "srbench list --help"),
    (["--colour", "never", "list"], "--color", "srbench --help"),
    (["--color", "blue", "list"], "'blue'", "srbench --help"),
    (["info"], "Missing argument 'NAME'", "srbench info --help"),
])
def test_wrong_words_are_answered_with_the_right_ones(words, error, hint):
    done = srbench(*words)
    assert done.returncode == ExitCode.USAGE
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert error in first
    assert second == f"hint: {hint}"


def test_no_words_at_all_is_wrong_usage_with_the_help():
    done = srbench()
    assert done.returncode == ExitCode.USAGE
    assert "Commands:" in done.stderr
    assert done.stdout == ""


@pytest.fixture
def planted(monkeypatch):
    """Replace what ``srbench list`` does."""
    def plant(action):
        @click.command()
        def command():
            return action()
        import srbench.cli.list as module

        monkeypatch.setattr(module, "command", command)
    return plant


def raiser(error):
    def action():
        raise error
    return action


ERRORS = [
    (errors.SrbenchError("m", hint="h"), 1), (errors.SpecError("m", hint="h"), 2),
    (errors.PluginError("m", hint="h"), 2), (errors.Diverged("m", hint="h"), 3),
    (errors.Interrupted("m", hint="h"), 130), (errors.MissingWeights("m", hint="h"), 1)]


@pytest.mark.parametrize(("error", "code"), ERRORS)
def test_errors_of_srbench_become_a_sentence_and_a_hint(planted, capsys, error, code):
    planted(raiser(error))
    assert main(["list"]) == code
    captured = capsys.readouterr()
    assert captured.err == "error: m\nhint: h\n"
    assert captured.out == ""


def test_an_error_without_hint_is_one_line(planted, capsys):
    planted(raiser(errors.DataError("only this")))
    main(["list"])
    assert capsys.readouterr().err == "error: only this\n"


def test_a_traceback_is_shown_only_when_asked_for(planted, capsys):
    planted(raiser(errors.DataError("m")))
    main(["-v", "list"])
    assert "Traceback" not in capsys.readouterr().err
    for words in (["-vv", "list"], ["list", "-vv"], ["-v", "list", "-v"]):
        main(words)
        text = capsys.readouterr().err
        assert "Traceback" in text
        assert text.endswith("error: m\n")


def test_a_bug_is_called_a_bug_and_its_traceback_kept(planted, capsys):
    planted(raiser(ZeroDivisionError("by zero")))
    assert main(["list"]) == ExitCode.FAILURE
    text = capsys.readouterr().err
    assert text.startswith("error: this is a bug in srbench: ZeroDivisionError: by zero\n")
    assert "Traceback" not in text
    path = Path(re.search(r"traceback in (\S+)$", text)[1])
    kept = path.read_text()
    path.unlink()
    assert "Traceback" in kept
    assert "raise error" in kept
    assert __version__ in kept


def test_an_interrupt_exits_with_130(planted, capsys):
    planted(raiser(KeyboardInterrupt()))
    assert main(["list"]) == ExitCode.INTERRUPTED
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(("value", "code"), [
    (None, 0), (ExitCode.NOTHING, 4), (3, 3), ("text", 0), (True, 0)])
def test_what_a_command_returns_is_the_exit_code(planted, value, code):
    planted(lambda: value)
    assert main(["list"]) == code


def test_exit_codes_are_the_documented_ones():
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0, "FAILURE": 1, "USAGE": 2, "CELLS": 3, "NOTHING": 4, "INTERRUPTED": 130}


@pytest.mark.parametrize(("choice", "environment", "terminal", "expected"), [
    ("auto", {}, True, True), ("auto", {}, False, False),
    ("auto", {"NO_COLOR": "1"}, True, False), ("auto", {"NO_COLOR": ""}, True, True),
    ("auto", {"FORCE_COLOR": "1"}, False, True),
    ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ("auto", {"TERM": "dumb"}, True, False), ("always", {"NO_COLOR": "1"}, False, True),
    ("never", {"FORCE_COLOR": "1"}, True, False),
])
def test_who_decides_about_colour(choice, environment, terminal, expected):
    assert wants_color(choice, environment, terminal=terminal) is expected


@pytest.mark.parametrize(("words", "environment", "colored"), [
    (["list"], {}, False), (["list"], {"FORCE_COLOR": "1"}, True),
    (["--color", "always", "list"], {}, True), (["list", "--color", "always"], {}, True),
    (["list", "--color", "never"], {"FORCE_COLOR": "1"}, False),
    (["list", "--color", "always", "--json"], {}, False),
])
def test_colour_through_a_pipe(words, environment, colored):
    assert (ESCAPE in srbench(*words, **environment).stdout) is colored


@pytest.mark.parametrize(("environment", "colored"), [({}, True), ({"NO_COLOR": "1"}, False),
                                                       ({"TERM": "dumb"}, False)])
def test_colour_and_width_on_a_terminal(site, environment, colored):
    parent, child = pty.openpty()
    plain = {key: value for key, value in os.environ.items()
             if key not in ("NO_COLOR", "FORCE_COLOR")}
    paths = os.pathsep.join(map(str, (site, ROOT, ROOT / "plugins")))
    with subprocess.Popen([sys.executable, "-m", "srbench", "list"], stdout=child, stderr=child,
                          env={**plain, "TERM": "xterm-256color", "COLUMNS": "70",
                               "PYTHONPATH": paths, **environment}) as process:
        os.close(child)
        text = b""
        while True:
            try:
                chunk = os.read(parent, 65536)
            except OSError:
                break
            if not chunk:
                break
            text += chunk
        assert process.wait() == 0
    os.close(parent)
    lines = text.decode().splitlines()
    assert (ESCAPE in text.decode()) is colored
    assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in lines) <= (
        80 if environment.get("TERM") == "dumb" else 70)  # rich does not ask a dumb terminal
    assert any("works" in line for line in lines)


def test_quiet_keeps_warnings_and_errors_and_drops_the_rest(capsys):
    shell = Output(verbosity=-1, color="never")
    shell.note("a note")
    shell.detail("a detail")
    shell.stderr.print("a table")
    shell.warn("take care")
    shell.error("no", "yes")
    shell.answer("42")
    captured = capsys.readouterr()
    assert captured.err == "warning: take care\nerror: no\nhint: yes\n"
    assert captured.out == "42\n"


def test_details_come_with_v(capsys):
    Output(verbosity=0).detail("hidden")
    Output(verbosity=1).detail("shown")
    assert capsys.readouterr().err == "shown\n"


def test_brackets_of_a_label_survive_the_console(capsys):
    output().stderr.print("wgan-gp[lambda=100] :smile:")
    assert capsys.readouterr().err == "wgan-gp[lambda=100] :smile:\n"


def test_columns_are_aligned_and_lines_end_with_a_word():
    assert align([("a", "bb", ""), ("ccc", "d", "")]) == ["a    bb", "ccc  d"]


def test_an_encoding_without_the_letters_is_no_error(site, tmp_path):
    install(tmp_path, "greek", {"greek": "greek_plugin"}, {"greek_plugin": """
        from srbench import MethodInfo, hookimpl

        @hookimpl
        def srbench_methods():
            return [MethodInfo(name="greek", summary="λ ≥ 0", load="m:C")]
        """})
    done = srbench("list", "methods", site=tmp_path, PYTHONIOENCODING="latin-1")
    assert done.returncode == 0, done.stderr
    assert "? ? 0" in done.stdout


def test_a_closed_pipe_is_no_bug():
    script = f"{sys.executable} -m srbench list --json | head -c 1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert "bug" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_module_of_srbench_that_cannot_be_imported_is_a_bug(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "srbench.cli.list", None)
    assert main(["list"]) == ExitCode.FAILURE
    text = capsys.readouterr().err
    assert "this is a bug in srbench" in text
    Path(re.search(r"traceback in (\S+)$", text)[1]).unlink()
