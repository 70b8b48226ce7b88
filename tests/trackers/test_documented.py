"""docs/hooks.md names every hook with its exact arguments, and every field of what is told."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from srbench import Scalars, TrackedCell, TrackedRun
from srbench.engine import listener, scalars, trackers
from srbench.registry import hookspecs
from srbench.registry.inspection import EVENTS, HOOKS, PROVIDES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")


def test_headings_are_the_hooks_with_their_arguments_in_the_order_of_the_code():
    wanted = [f"{name}({', '.join(inspect.signature(getattr(hookspecs, name)).parameters)})"
              for name in HOOKS]
    assert re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE) == wanted
    assert wanted == [
        "srbench_methods()", "srbench_datasets()", "srbench_metrics()", "srbench_run_started(run)",
        "srbench_cell_started(run, cell)", "srbench_scalars(run, cell, scalars)",
        "srbench_cell_finished(run, cell, record)", "srbench_run_finished(run)"]
    assert (*PROVIDES, *EVENTS) == HOOKS


@pytest.mark.parametrize("record", [TrackedRun, TrackedCell, Scalars])
def test_the_table_has_every_field(record):
    row, = re.findall(rf"^\| `{record.__name__}` \|(.*)$", PAGE, re.MULTILINE)
    named = re.findall(r"`(\w+)`", row)
    for field in dataclasses.fields(record):
        assert field.name in named
        assert re.search(rf"^    [\w, ]*\b{field.name}\b[\w, ]* : ", record.__doc__, re.MULTILINE)


def test_a_hook_has_a_docstring_and_is_never_called_itself():
    for name in HOOKS:
        function = getattr(hookspecs, name)
        assert function.__doc__
        with pytest.raises(AssertionError, match="never called"):
            function(*inspect.signature(function).parameters)


def test_limits_are_as_written():
    assert f"The run waits for it, {trackers.START:g} s at most" in PAGE
    assert f"waits {trackers.CLOSE:g} s for all trackers" in PAGE
    assert f"at most {scalars.LARGEST >> 20} MiB" in PAGE
    assert listener.FAILURES == 5
    assert "after five times in a row" in PAGE


def test_the_example_has_fifteen_lines():
    example, = re.findall(r"<!-- file: diary.py -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(example.splitlines()) == 15
