"""``srbench fetch`` through the real command."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from srbench.cli.fetch import command
from srbench.errors import DownloadError, UnknownName, UsageError
from srbench.files import cache_dir


def fetch(*words: str):
    return CliRunner().invoke(command, words, catch_exceptions=True)


def test_paths_on_stdout_and_files_named_on_stderr(server, saved):
    result = fetch("w2-early")
    assert result.exit_code == 0, result.exception
    paths = [Path(line) for line in result.stdout.splitlines()]
    assert [path.name for path in paths] == ["Final_G.pt", "Early_v1.pt", "Early_v2.pt"]
    assert all(path.is_relative_to(cache_dir()) and path.is_file() for path in paths)
    assert result.stderr.count("fetching") == 3
    again = fetch("w2-early")
    assert again.stdout == result.stdout
    assert again.stderr == ""
    assert len(server.gets()) == 3


def test_list_says_what_is_here(server, saved, monkeypatch):
    before = {line.split()[0]: line for line in fetch("--list").stdout.splitlines()}
    assert "missing" in before["w2-early"]
    assert "lacks Final_G.pt, Early_v1.pt, Early_v2.pt" in before["w2-early"]
    assert "srbench fetch w2-early" in before["w2-early"]
    monkeypatch.setenv("SRBENCH_DATA", str(saved.folder))
    after = {line.split()[0]: line for line in fetch("--list").stdout.splitlines()}
    assert " here " in after["w2-early"]


@pytest.mark.parametrize(("words", "error", "message"), [
    ((), UsageError, "nothing to fetch"),
    (("w2-erly",), UnknownName, "did you mean 'w2-early'"),
    (("weights", "alexnot"), UnknownName, "did you mean 'alexnet'"),
    (("w2-early",), DownloadError, "SRBENCH_OFFLINE forbids the network"),
])
def test_what_cannot_be_fetched(words, error, message):
    result = fetch(*words)
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert result.stdout == ""
