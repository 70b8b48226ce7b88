"""What a cell gives does not depend on what else is in the plan, nor on how many run at a time."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.engine.runs import PLUGIN, essence, history, made_once, records, srbench, with_site

A, TOY, OTS = "toy-slow[iterations=30]", "toy-shift[iterations=60]", "ots"
PLANS = {  # name -> methods in their order, cells at a time
    "alone": ([OTS], "1"),
    "one by one": ([A, TOY, OTS], "1"),
    "turned round": ([OTS, TOY, A], "1"),
    "together": ([A, TOY, OTS], "4"),
}
# What a cell's process finds in its environment, before any of its code runs.
NOTE = """
import json, os, sys
if "srbench.engine.worker" in sys.orig_argv:
    with open(os.path.join(sys.argv[-1], "variables.json"), "w") as file:
        json.dump({name: value for name, value in os.environ.items()
                   if name.endswith("_NUM_THREADS")}, file)
"""


def run(folder: Path, methods: list[str], jobs: str, *words: str, **environment: str) -> Path:
    folder.mkdir()
    done = srbench("run", "--plugin", str(PLUGIN), "--dataset", "toy[dim=4]", "--metrics",
                   "l2-uvp,cosine", "--methods", ",".join(methods), "--set", "ots.iterations=6",
                   "-j", jobs, *words, cwd=folder, **environment)
    # --set of a method that takes no part would be refused: OTS is in every plan.
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """The folder of each plan, run with every kind of environment a user may have."""
    threads = dict(zip(PLANS, ("1", "2", "7", ""), strict=True))

    def run_all(root: Path) -> None:
        site = with_site(root / "site", NOTE)

        def one(name: str) -> None:
            methods, jobs = PLANS[name]
            run(root / name, methods, jobs, **site, OMP_NUM_THREADS=threads[name],
                MKL_NUM_THREADS=threads[name])

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one, PLANS))

    root = made_once(tmp_path_factory, "plans", run_all)
    return {name: root / name for name in PLANS}


def cell(folder: Path, label: str) -> dict[str, Any]:
    found, = (record for name, record in records(folder).items() if name.startswith(label))
    return found


@pytest.mark.parametrize("name", [name for name in PLANS if name != "one by one"])
def test_a_cell_gives_the_same_in_every_plan(folders, name):
    here, there = folders[name], folders["one by one"]
    methods, _ = PLANS[name]
    assert len(records(here)) == len(methods)
    for method in methods:
        label = method.partition("[")[0]
        one, other = cell(here, label), cell(there, label)
        assert essence(one) == essence(other)
        pd.testing.assert_frame_equal(history(here, one), history(there, other), check_exact=True)
        name = "per_image.parquet"
        assert one["artefacts"][name]["sha256"] == other["artefacts"][name]["sha256"]


def test_what_was_compared_is_a_result_that_training_changed(folders):
    # Else equal records would say little.
    values = [cell(folders["together"], label)["values"]["final"]["l2-uvp"]["value"]
              for label in ("ots", "toy-slow", "toy-shift")]
    assert len({round(value, 6) for value in values}) == 3
    assert not any(abs(value - 100) < 1e-3 for value in values)


@pytest.mark.parametrize("name", list(PLANS))
def test_threads_are_the_cells_and_not_the_environments(folders, name):
    noted = list(folders[name].glob("runs/cells/*/variables.json"))
    assert len(noted) == len(PLANS[name][0])
    for path in noted:
        variables = json.loads(path.read_text())
        assert {variables[f"{library}_NUM_THREADS"]
                for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")} == {"1"}
        record = json.loads(path.with_name("record.json").read_text())
        assert record["identity"]["threads"] == record["environment"]["cpu"]["threads"] == 1


def test_the_number_of_threads_asked_for_reaches_the_process_and_is_another_cell(
        folders, tmp_path):
    folder = run(tmp_path / "two", [OTS], "1", "--threads", "2",
                 **with_site(tmp_path / "site", NOTE))
    record, = records(folder).values()
    path = folder / "runs" / "cells" / record["identity"]["key"] / "variables.json"
    assert set(json.loads(path.read_text()).values()) == {"2"}
    assert record["environment"]["cpu"]["threads"] == 2
    assert record["identity"]["key"] != cell(folders["alone"], "ots")["identity"]["key"]
