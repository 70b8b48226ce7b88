"""The tests of blocks notice what they are there to notice."""

from __future__ import annotations

import sys

import pytest

from tests.docs.blocks import Typed, blocks_of, typed
from tests.docs.commands import commands_of, complaint, inline_commands
from tests.docs.outputs import difference
from tests.docs.runner import bash, run_console, run_page

PAGE = """\
# Title

<!-- slow -->
<!-- exit: 3 -->
```console
$ srbench check
```

<!-- a remark -->

    ```python
    x = 1
    ```

<!-- file: a/b.py -->

```python
y = 2
```

<!-- not run: needs a GPU -->
text between
```sh
ls
```
"""


def test_blocks_marks_and_lines():
    one, two, three, four = blocks_of(PAGE, "p.md")
    assert (one.name, one.language, one.kind) == ("p.md:6", "console", "slow")
    assert one.marks == {"slow": "", "exit": "3"}
    assert (two.line, two.text, two.kind) == (12, "x = 1\n", "run")
    assert (three.kind, three.marks["file"]) == ("file", "a/b.py")
    assert four.kind == "run", "a mark holds for the next block only where nothing stands between"
    with pytest.raises(ValueError, match=r"p\.md:1: a block that does not end"):
        blocks_of("```sh\nls\n", "p.md")


def test_typed_commands_and_their_outputs():
    text = "$ echo a \\\n    b\na b\n\n$ cat <<E\n> x\n> E\nx\n$ true\n"
    assert typed(text) == [Typed("echo a \\\n    b", "a b\n"), Typed("cat <<E\nx\nE", "x"),
                           Typed("true", "")]


@pytest.mark.parametrize(("shown", "printed"), [
    ("took 1 min 3 s", "took 41.2 s"), ("3f9a2c7d01 ok", "77ab01cd99 ok"),
    ("runs/2026-11-26-010232-02fe/x", "runs/2027-01-01-235959-ab12/x"),
    ("torch 2.14.1", "torch 2.15.0+cpu"), ("38.1 it/s", "4 it/s"), ("1.5 GiB", "900 MiB"),
    ("-----  ---", "--------  ------"), ("L2-UVP 12.80", "L2-UVP 12.91"),
    ("a\n...\nd", "a\nb\nc\nd"), ("a\n...\nb", "a\nb"), ("a ...", "a b c"),
    ("a  b", "a b"), ("12.80 ± 0.25", "12.75 ± 0.26")])
def test_what_varies_is_masked(shown, printed):
    assert not difference(shown, printed)


@pytest.mark.parametrize(("shown", "printed", "said"), [
    ("L2-UVP 12.80", "L2-UVP 14.80", "shown:   L2-UVP 12.80"), ("6 cells", "7 cells", "6 cells"),
    ("a\nb", "a", "not printed: b"), ("a", "a\nb", "printed, but not shown: b"),
    ("a\n...\nz", "a\nb", "what follows '...' is not printed: z"), ("ok", "failed", "ok"),
    ("seed 1", "seed 2", "seed 1"), ("a b ...", "a", "a b")])
def test_what_differs_is_said(shown, printed, said):
    assert said in difference(shown, printed)


@pytest.mark.parametrize(("text", "words"), [
    ("A=1 srbench list && ls | grep x  # why", [["srbench", "list"], ["ls"], ["grep", "x"]]),
    ("srbench run --methods 'ots[cost=[mse,vgg]]' \\\n  -j 2 > out.txt 2>&1",
     [["srbench", "run", "--methods", "ots[cost=[mse,vgg]]", "-j", "2"]]),
    ("srbench run ... --rerun", [["srbench", "run", "--rerun"]])])
def test_commands_are_told_apart(text, words):
    assert commands_of(text) == words


@pytest.mark.parametrize(("command", "said"), [
    ("srbench rn", "did you mean 'run'"), ("srbench run --method ots", "--method"),
    ("srbench board biuld", "biuld"), ("srbench run -j none", "none"),
    ("srbench list nonsense", "nonsense"), ("srbench publish --dryrun", "--dryrun"),
    ("pip install 'srbench[rya]'", "no extra rya"), ("pytest tests/gone.py", "tests/gone.py"),
    ("python benchmarks/gone.py", "benchmarks/gone.py"),
    ("python benchmarks/boards.py --browse", "no option --browse"), ("frobnicate", "frobnicate")])
def test_commands_that_would_not_be_understood(command, said):
    words, = commands_of(command)
    assert said in complaint(words)


@pytest.mark.parametrize("command", [
    "srbench run --methods ots --dataset w2-early -vv", "srbench --version", "srbench board build",
    "srbench info ots --color never", "pip install '.[docs,test]'", "srbench run --help",
    "python benchmarks/boards.py --browser", "pytest -m slow tests/docs/test_site.py::test_x"])
def test_commands_that_are(command):
    words, = commands_of(command)
    assert not complaint(words)


def test_commands_between_backticks():
    text = "Say `srbench list` or\n`srbench info\nots`.\n\n```sh\nsrbench `x`\n```\n`srbench`\n"
    assert inline_commands(text) == [(1, "srbench list"), (2, "srbench info ots")]


def console(text: str, **marks: str) -> dict:
    return {"page": "p.md", "line": 1, "limit": 20, "marks": marks, "difference": difference,
            "typed": [vars(one) for one in typed(text)]}


class TestRunning:
    def test_a_console_block_keeps_its_shell_from_line_to_line(self, tmp_path):
        assert not run_console(console("$ cd /\n$ X=5\n$ echo $PWD $X\n/ 5\n"), tmp_path)

    def test_another_output_is_said_beside_the_command(self, tmp_path):
        found = run_console(console("$ echo one\ntwo\n"), tmp_path)
        assert "$ echo one" in found
        assert "shown:   two\nprinted: one" in found

    @pytest.mark.parametrize(("text", "marks", "said"), [
        ("$ false\n", {}, "exit code 1"), ("$ true\n", {"exit": "3"}, "no command ended"),
        ("$ (exit 3)\n", {"exit": "3"}, ""), ("$ exit 0\n$ echo a\na\n", {}, "ended early")])
    def test_exit_codes(self, tmp_path, text, marks, said):
        found = run_console(console(text, **marks), tmp_path)
        assert said in found
        assert bool(said) == bool(found)

    def test_what_takes_too_long_is_ended(self, tmp_path):
        code, said = bash("sleep 30 & wait", tmp_path, 0.2)
        assert code == -1
        assert "mark it <!-- slow -->" in said

    def test_python_shares_a_namespace_and_errors_have_the_pages_lines(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.path", [*sys.path])

        def block(line, text, kind="run", language="python", **marks):
            return {"page": "README.md", "line": line, "text": text, "kind": kind, "limit": 9,
                    "language": language, "marks": marks, "typed": []}

        blocks = [block(1, "import helper\nx = helper.y\n"), block(7, "assert x == 2, x\nx / 0\n"),
                  block(9, "test -f helper.py; exit 4\n", language="sh", exit="4")]
        file = block(1, "y = 2\n", kind="file", file="helper.py")
        page = {"name": "README.md", "prepare": "", "blocks": [file, *blocks]}
        failure, = run_page(page, tmp_path)
        assert failure["block"] == "README.md:7"
        assert 'File "README.md", line 8' in failure["what"]
        assert "ZeroDivisionError" in failure["what"]
