"""The methods on photographs in two processes: pairs made once, batches split, resumed exactly."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from srbench.training.scratch import FOLDER
from tests.training.ranked import launch, train

CLOSE = 1e-5
pytestmark = pytest.mark.usefixtures("narrow")


def rows(left) -> pd.DataFrame:
    return pd.DataFrame(left["history"]).drop(columns="seconds")


def same(first, second):
    return all(torch.equal(value, second["weights"][name])
               for name, value in first["weights"].items())


def whole_and_resumed(folder, kind, stops, **params):
    """Train in two processes; also with a stop, one in each stage, after which pairs may be lost.

    ``stops`` are pairs of a step and whether what was made until then is lost. Returns what the
    undisturbed run left, by rank.
    """
    job = {"kind": kind, "keeps": True, "params": params, "options": {"log_every": 1}}
    jobs = [job]
    for number, (step, lost) in enumerate(stops):
        here = str(folder / f"stopped{number}")
        jobs += [{**job, "folder": here, "stop_at": step}, {**job, "folder": here, "lose": lost}]
    whole, *others = launch(folder / "ranks", jobs)
    for stopped, resumed in zip(others[::2], others[1::2], strict=True):
        for rank in (0, 1):
            assert stopped[rank]["error"] == "Interrupted"
            assert same(resumed[rank], whole[rank])
        assert rows(resumed[0]).equals(rows(whole[0]))
        assert resumed[0]["costs"] == whole[0]["costs"]
    assert not list(folder.rglob(FOLDER))
    return whole


def test_dasr_is_that_of_one_process_and_resumes_exactly(tmp_path):
    stops = [(2, False), (5, False), (8, True)]  # the first two stages end at steps 3 and 6
    first, second = whole_and_resumed(tmp_path, "dasr", stops)
    expected = train({"kind": "dasr", "options": {"log_every": 1}})
    assert same(first, second)
    for name, value in expected["weights"].items():
        assert torch.allclose(first["weights"][name], value, rtol=0, atol=CLOSE), name
    got, wanted = rows(first), rows(expected)
    assert got.drop(columns="value").equals(wanted.drop(columns="value"))
    assert ((got["value"] - wanted["value"]).abs() <= CLOSE * wanted["value"].abs().clip(1)).all()
    assert first["costs"] == expected["costs"]
    assert first["span"] is expected["span"] is None


def test_fssr_resumes_exactly_and_says_how_far_its_batchnorm_sees(tmp_path):
    stops = [(2, False), (6, True), (10, False)]  # the first two stages end at steps 3 and 8
    first, second = whole_and_resumed(tmp_path, "fssr", stops, batch_size=4)
    expected = train({"kind": "fssr", "params": {"batch_size": 4}, "options": {"log_every": 1}})
    assert same(first, second)
    assert first["costs"] == expected["costs"]
    assert (first["span"], expected["span"]) == (1, 2)
