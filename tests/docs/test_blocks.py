"""Every fenced block of the documentation: run, written, parsed, or marked with the reason why not.

    pytest tests/docs/test_blocks.py            # runs what is cheap
    pytest -m slow tests/docs/test_blocks.py    # runs whole pages, as a reader with a network would
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from srbench.cli.shell import main
from tests.docs.blocks import MARKS, ROOT, RUN, SHOWN, blocks_of, page_name, pages, typed
from tests.docs.commands import commands_of, complaint, inline_commands, text_of
from tests.docs.prepared import PREPARED

LOOKS_TYPED = re.compile(r"^(?:\$ )?(?:srbench|pip|pytest|python) (?! {2}|.*\S {3,}[^#\s]).*",
                         re.MULTILINE)
TEXTS = {page_name(path): path.read_text(encoding="utf-8") for path in pages()}
PAGES = {page: blocks_of(text, page) for page, text in TEXTS.items()}
ALL = [block for blocks in PAGES.values() for block in blocks]
# Of the user who runs the tests, before fixtures replace it: slow pages download weights once.
OWN = {name: os.environ[name] for name in ("SRBENCH_CACHE",) if name in os.environ}
QUIET = {"BROWSER": "true", "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1",
         "PYTHONWARNINGS": "ignore"}


def runs(page: str, *kinds: str) -> bool:
    return any(block.kind in kinds for block in PAGES[page])


@pytest.fixture(scope="module")
def runner():
    process = subprocess.Popen([sys.executable, str(Path(__file__).with_name("runner.py"))],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    process.stdin.close()
    process.wait(timeout=30)


def run_page(runner, page: str, kinds: set[str], tmp_path: Path, environment: dict[str, str],
             limit: float = 120):
    """Run the blocks of these kinds, and write the files that pages hold."""
    folder = tmp_path / "here"
    folder.mkdir()
    blocks = [asdict(block) | {"kind": block.kind, "limit": limit, "typed": [
        asdict(one) for one in typed(block.text)] if block.language == "console" else []}
        for block in PAGES[page] if block.kind in kinds | {"file"}]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    request = {"name": page, "blocks": blocks, "folder": str(folder),
               "prepare": PREPARED.get(page, ""),
               "report": str(tmp_path / "report.json"),
               "environment": {**QUIET, "PATH": path, "REPOSITORY": str(ROOT), **environment}}
    runner.stdin.write(json.dumps(request) + "\n")
    runner.stdin.flush()
    answer = runner.stdout.readline()
    assert answer, "the runner ended"
    failures = json.loads(answer)
    assert not failures, "\n\n".join(f"{failure['block']}\n{failure['what']}"
                                     for failure in failures)


@pytest.mark.parametrize("page", [page for page in PAGES if runs(page, "run")])
def test_blocks_run(page, runner, tmp_path, private_folders):
    run_page(runner, page, {"run"}, tmp_path,
             {"SRBENCH_CACHE": os.environ["SRBENCH_CACHE"], "SRBENCH_OFFLINE": "1"})


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", [page for page in PAGES if runs(page, "slow")])
def test_whole_pages_run(page, runner, tmp_path):
    run_page(runner, page, {"run", "slow"}, tmp_path, OWN, limit=1800)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page):
    for block in PAGES[page]:
        assert block.language in {*RUN, *SHOWN}, (
            f"{block.name}: ```{block.language} is none of {', '.join([*RUN, *SHOWN])}")
        assert set(block.marks) <= set(MARKS), f"{block.name}: unknown mark in {block.marks}"
        if "not run" in block.marks:
            assert len(block.marks["not run"]) >= 8, f"{block.name}: not run: say why"
        if block.kind == "shown":
            assert not block.marks, f"{block.name}: {block.marks} on a block that is only shown"
            assert not (found := LOOKS_TYPED.search(block.text)), (
                f"{block.name}: {found[0].strip()!r} looks like a command: say ```sh or ```console")


def test_blocks_by_kind():
    """What is done with all blocks: pytest -rP shows the table."""
    table = Counter((block.page, block.language or "-", block.kind) for block in ALL)
    sys.stdout.writelines(f"{page:32} {language:8} {kind:8} {count}\n"
                          for (page, language, kind), count in sorted(table.items()))
    kinds = Counter(block.kind for block in ALL)
    assert sum(kinds.values()) == len(ALL) == sum(map(fences, TEXTS.values()))
    assert kinds["run"] > kinds["not run"] / 2, kinds


def fences(text: str) -> int:
    """Fenced blocks of a page, counted in another way."""
    return sum(line.lstrip().startswith(("```", "~~~")) for line in text.splitlines()) // 2


@pytest.mark.parametrize("block", [block for block in ALL if block.language in {"sh", "console"}],
                         ids=lambda block: block.name)
def test_commands_are_understood(block):
    text = text_of(block)
    done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    for words in commands_of(text):
        assert not (why := complaint(words)), f"{block.name}: {' '.join(words)}\n{why}"


PLANS = [pytest.param(block, words, id=f"{block.name} {' '.join(words[3:])}") for block in ALL
         if block.language in {"sh", "console"} for words in commands_of(text_of(block))
         if words[:2] == ["srbench", "run"] and "--methods" in words and "--plugin" not in words]


@pytest.mark.parametrize(("block", "words"), PLANS)
def test_runs_can_be_planned(block, words, tmp_path, monkeypatch, capsys):
    """Methods, datasets, parameters and presets are there: ``srbench run --dry-run`` says so."""
    monkeypatch.chdir(tmp_path)
    for one in PAGES[block.page]:
        if one.kind == "file" and "/" not in one.marks["file"]:
            (tmp_path / one.marks["file"]).write_text(one.text, encoding="utf-8")
    code = main([*words[1:], "--dry-run"])
    printed = capsys.readouterr().err
    new = re.search(r"no (method|dataset) named '([^']+)'", printed)
    page = TEXTS[block.page]
    introduced = new and (f"new {new[1]} {new[2]}" in page or f'name="{new[2]}"' in page)
    # Data of others may not be on this machine, which is no usage error.
    assert code in {0, 1} or introduced, printed


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_the_text_are_understood(page):
    for line, text in inline_commands(TEXTS[page]):
        for words in commands_of(text):
            why = complaint(words)
            if words[1:2] and words[1].isupper():  # srbench VERB
                continue
            # A mention may leave out what the command needs and have N for a number.
            assert not why or "Missing" in why or re.match(r"Invalid value.*'[A-Z]+'", why), (
                f"{page}:{line}: {text}\n{why}")


@pytest.mark.parametrize("block", [block for block in ALL if block.language in {
    "python", "toml", "json", "yaml"} and block.kind != "run"], ids=lambda block: block.name)
def test_data_and_python_that_is_not_run_are_well_formed(block):
    read_it = {"python": ast.parse, "toml": tomllib.loads, "json": json.loads,
               "yaml": yaml.safe_load}[block.language]
    read_it(block.text)
