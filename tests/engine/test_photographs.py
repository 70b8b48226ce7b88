"""One cell on photographs, from plan to record: notes, palettes, scratch, no choice by truth."""

from __future__ import annotations

import signal
from pathlib import Path

import pandas as pd
import pytest
import torch

from srbench.engine.cell import run_cell
from srbench.evaluation.restorer import Restorer
from srbench.plan import Request, make_plan
from srbench.registry.catalog import discover
from srbench.results.record import Status
from srbench.results.store import Store
from srbench.spec import parse_specs

PLUGIN = '''
from srbench import DatasetInfo, MethodInfo, hookimpl


@hookimpl
def srbench_datasets():
    return [DatasetInfo(name="waves", summary="Waves.", load=f"{__name__}:Named")]


@hookimpl
def srbench_methods():
    return [MethodInfo(name="brighter", summary="Bicubic and a colour.", load=f"{__name__}:Map")]


def __getattr__(name):
    if name not in ("Named", "Map"):
        raise AttributeError(name)
    import torch

    from srbench import Method
    from srbench.networks import up_bicubic
    from tests.methods.photographs import Waves

    class Named(Waves):
        def __init__(self, params, name):
            super().__init__()

    class Map(Method):
        def build(self):
            self.colour = torch.nn.Parameter(torch.zeros(3, 1, 1))

        def fit(self, training):
            optimizer = training.track(optimizer=torch.optim.Adam(self.parameters(), lr=0.01))
            for step in training.steps(3):
                gap = (self(training.lr(2)) - training.hr(2)).mean((0, 2, 3))
                step.minimize(gap.square().sum(), optimizer)
            (training.scratch("pairs") / "file").write_text("made on the way")

        def forward(self, lr):
            return up_bicubic(lr, 4) + self.colour

        def notes(self):
            return ["It only learns a colour."]

    return {"Named": Named, "Map": Map}[name]
'''


@pytest.fixture
def cell_folder(tmp_path):
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    threads, plugin = torch.get_num_threads(), tmp_path / "photo_plugin.py"
    plugin.write_text(PLUGIN)
    request = Request(methods=parse_specs(["brighter"]), datasets=parse_specs(["waves"]), seeds=[0],
                      preset="quick", precision="fp32", device="cpu", threads=1,
                      metrics=["psnr", "patch-fid", "fid", "palette-sw2"])
    cell, = make_plan(request, discover([plugin]), "plan")
    folder = Store(tmp_path / "runs").cell_folder(cell.key)
    folder.mkdir(parents=True)
    (folder / "cell.json").write_text(cell.model_dump_json())
    yield folder
    for number, handler in handlers.items():
        signal.signal(number, handler)
    torch.set_num_threads(threads)


def test_the_record_of_a_cell_on_photographs(cell_folder: Path, monkeypatch):
    monkeypatch.setattr(Restorer, "notes", lambda self: ["2 images were restored in tiles."])
    record = run_cell(cell_folder, lambda event: None)
    assert record.outcome.status is Status.OK, record.outcome.reason
    assert record.outcome.notes == ["It only learns a colour.", "2 images were restored in tiles."]
    assert (record.values.oracle, record.values.oracle_looks) == ({}, 0)
    final = record.values.final
    assert final["psnr"].count == 2
    assert final["palette-sw2"].value > 0
    assert final["fid"].unavailable.startswith("does not apply")
    assert final["patch-fid"].unavailable
    assert "palettes.parquet" in record.artefacts
    palettes = pd.read_parquet(cell_folder / "palettes.parquet")
    assert palettes.groupby("kind").size().to_dict() == {"hr": 1024, "lr": 1024, "prediction": 1024}
    assert not (cell_folder / ".scratch").exists()
    assert not any("scratch" in name for name in record.artefacts)
