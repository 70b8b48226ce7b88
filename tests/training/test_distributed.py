"""One training in two processes: the same numbers, one voice, and an end when one is lost."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from srbench.errors import RankFailure
from srbench.training.checkpoint import CheckpointStore
from srbench.training.distributed import joined, own_device
from srbench.training.flat import FlatGradients, checksum
from srbench.training.ranks import ALONE, Decision, Ranks
from tests.training.ranked import launch, train

CLOSE = 1e-5
CPU = torch.device("cpu")


def alone(kind, **job):
    return train({"kind": kind, **job})


def rows(left) -> pd.DataFrame:
    return pd.DataFrame(left["history"]).drop(columns="seconds")


def agree_closely(found, expected):
    """Weights and history of a run, up to rounding; everything that is counted, exactly."""
    assert found["error"] is None
    for name, value in expected["weights"].items():
        assert torch.allclose(found["weights"][name], value, rtol=0, atol=CLOSE), name
    got, wanted = rows(found), rows(expected)
    assert len(wanted) > 0
    assert got.drop(columns="value").equals(wanted.drop(columns="value"))
    assert ((got["value"] - wanted["value"]).abs() <= CLOSE * wanted["value"].abs().clip(1)).all()
    for part in ("costs", "steps", "parameters", "span"):
        assert found[part] == expected[part], part


def agree_exactly(found, expected):
    """Every bit of a run, also the random numbers it would draw next."""
    assert found["error"] is None
    for name, value in expected["weights"].items():
        assert torch.equal(found["weights"][name], value), name
    assert rows(found).equals(rows(expected))
    assert torch.equal(found["rng"], expected["rng"])
    assert found["costs"] == expected["costs"]


def same_weights(first, second):
    return all(torch.equal(value, second["weights"][name])
               for name, value in first["weights"].items())


# --- the same numbers


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """What two processes leave of each kind of training, by kind and rank."""
    jobs = {"ots": {"scored": True}, "wgan-gp": {"scored": True}, "ots-image": {},
            "line": {}, "line-pooled": {}, "draws": {}, "draws-pooled": {}, "partial": {},
            "constant": {}, "odd": {"kind": "line", "params": {"batch": 5}},
            "diverging": {"kind": "line", "params": {"at": 1, "deed": "nan"}},
            "timed": {"kind": "line", "params": {"steps": 10**6}, "options": {"budget": "0.5s"}},
            "asked": {"kind": "line", "stop_at": 3, "stop_by": 1, "keeps": True}}
    left = launch(tmp_path_factory.mktemp("pair"),
                  [{"kind": name, **job} for name, job in jobs.items()])
    return dict(zip(jobs, left, strict=True))


@pytest.mark.parametrize("kind", ["ots", "wgan-gp", "line", "line-pooled"])
def test_two_processes_train_what_one_does(kind, pair):
    expected = alone(kind, scored=kind in ("ots", "wgan-gp"))
    first, second = pair[kind]
    agree_closely(first, expected)
    assert same_weights(first, second)
    assert (first["world"], expected["world"]) == (2, 1)


@pytest.mark.parametrize("kind", ["ots", "wgan-gp"])
def test_validation_and_oracle_are_those_of_one_process(kind, pair):
    expected = alone(kind, scored=True)
    step, value = pair[kind][0]["oracle"]
    assert step == expected["oracle"][0]
    assert value == pytest.approx(expected["oracle"][1], abs=CLOSE)
    assert "validation/mean" in pair[kind][0]["history"]["name"]


@pytest.mark.parametrize("kind", ["draws", "draws-pooled"])
def test_a_batch_is_split_by_slot_and_whole_outside_stages(kind, pair):
    expected = alone(kind)["drawn"]
    first, second = (left["drawn"] for left in pair[kind])
    for whole, mine, other in zip((expected[0], expected[-1]), (first[0], first[-1]),
                                  (second[0], second[-1]), strict=True):
        assert torch.equal(mine, whole)
        assert torch.equal(other, whole)
    for whole, mine, other in zip(expected[1:-1], first[1:-1], second[1:-1], strict=True):
        assert len(mine) == len(other) == len(whole) // 2
        assert torch.equal(torch.cat((mine, other)), whole)


def test_costs_are_of_all_processes_and_parameters_count_once(pair):
    found, expected = pair["ots-image"][0], alone("ots-image")
    assert found["costs"] == expected["costs"]
    assert found["parameters"] == expected["parameters"]


def test_batchnorm_statistics_are_equal_everywhere_and_their_span_is_told(pair):
    first, second = pair["ots-image"]
    assert same_weights(first, second)  # running statistics too
    assert (first["span"], alone("ots-image")["span"]) == (2, 4)
    assert pair["ots"][0]["span"] is None


def test_a_weight_without_gradient_stays_where_it_is_and_one_with_some_moves_alike(pair):
    first, second = pair["partial"]
    assert same_weights(first, second)
    expected = alone("partial")
    for name in ("unused.weight", "unused.bias"):  # AdamW would decay them
        assert torch.equal(first["weights"][name], expected["weights"][name])


def test_the_collectives_of_a_step_are_one_for_the_gradient_and_one_for_what_follows(pair):
    first_decision, per_step, flushes, check = 1, 2, 2, 1
    assert pair["line"][0]["all_reduces"] == first_decision + 8 * per_step + flushes + check


# --- one voice


def test_rank_0_alone_tells_and_others_give_signs_of_life(pair):
    first, second = pair["ots"]
    assert {"progress", "validation", "beat"} <= {event["event"] for event in first["events"]}
    assert {event["event"] for event in second["events"]} == {"beat"}
    assert {event["rank"] for event in second["events"]} == {1}


def test_rank_0_keeps_the_time(pair):
    first, second = pair["timed"]
    assert first["steps"] == second["steps"] > 1


def test_a_stop_asked_of_any_rank_stops_all(pair):
    for left in pair["asked"]:
        assert left["error"] == "Interrupted"
        assert "stopped at step 3 of 8" in left["text"]


def test_a_loss_that_is_not_finite_in_one_process_ends_all_alike(pair):
    first, second = pair["diverging"]
    assert first["error"] == second["error"] == "Diverged"
    assert first["text"] == second["text"]
    assert "is nan at step 2" in first["text"]


def test_a_batch_that_cannot_be_split_is_refused(pair):
    for left in pair["odd"]:
        assert left["error"] == "ParameterError"
        assert "a batch of 5 cannot be split evenly over 2 processes" in left["text"]
        assert "multiple of 2" in left["text"]


def test_a_method_that_cannot_be_split_says_so_before_it_starts(pair):
    for left in pair["constant"]:
        assert left["error"] == "UsageError"
        assert left["text"] == ("Constant cannot be trained by 2 processes together "
                                "(take one GPU per cell)")


# --- taken up again


def test_a_stop_leaves_no_trace_with_batchnorm_dropout_and_streams(tmp_path):
    here = str(tmp_path / "stopped")
    split = {"kind": "split", "keeps": True}
    whole, stopped, resumed = launch(tmp_path / "ranks", [
        split, {**split, "stop_at": 17, "folder": here}, {**split, "folder": here}])
    for rank in (0, 1):
        assert stopped[rank]["error"] == "Interrupted"
        agree_exactly(resumed[rank], whole[rank])
    assert resumed[0]["resumes"] == 1
    assert not torch.equal(whole[0]["rng"], whole[1]["rng"])  # dropout is of each rank's own
    written = pd.read_parquet(Path(here) / "cell" / "history.parquet")
    assert not written.duplicated(["stage", "step", "name"]).any()


def test_more_or_fewer_processes_go_on_with_the_same_batches(tmp_path, caplog):
    expected = alone("ots")
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    job = {"kind": "ots", "keeps": True}
    assert train({**job, "folder": str(one), "stop_at": 5})["error"] == "Interrupted"
    stopped, wider = launch(tmp_path / "ranks", [
        {**job, "folder": str(two), "stop_at": 7}, {**job, "folder": str(one)}])
    assert stopped[1]["error"] == "Interrupted"
    agree_closely(wider[0], expected)
    assert same_weights(*wider)
    with caplog.at_level(logging.WARNING):
        narrower = train({**job, "folder": str(two)})
    agree_closely(narrower, expected)
    assert "written by 2 processes and is taken up by 1" in caplog.text


def test_a_checkpoint_torn_for_one_process_is_passed_over_by_all(tmp_path):
    class Two(Ranks):
        answers = iter([False, True])

        def everywhere(self, flag):
            return flag and next(self.answers)

    store = CheckpointStore(tmp_path, Two())
    for number in (1, 2):
        store.write({"number": number})
    assert store.read() == {"number": 1}


# --- an end when one is lost


@pytest.mark.parametrize("deed", ["die", "raise"])
def test_a_lost_rank_ends_the_others_at_once_and_the_cell_goes_on_later(deed, tmp_path):
    job = {"kind": "line", "keeps": True, "options": {"checkpoint_seconds": 0},
           "folder": str(tmp_path / "cell")}
    (first, second), = launch(tmp_path / "lost", [{**job, "params": {"at": 5, "deed": deed}}])
    assert first["error"] == "RankFailure"
    assert first["text"].startswith("rank 0 of 2: another rank is gone, in step 6 of stage 'main'")
    assert "goes on from the last checkpoint" in first["text"]
    assert first["seconds"] < 10
    assert second == {}
    whole, resumed = launch(tmp_path / "again", [{"kind": "line"}, job])
    agree_exactly(resumed[0], whole[0])
    assert (resumed[0]["resumes"], resumed[0]["steps"]) == (1, 8)


def test_a_hanging_rank_ends_the_others_within_the_timeout(tmp_path):
    job = {"kind": "line", "params": {"at": 3, "deed": "hang"}}
    (first, _), = launch(tmp_path, [job], timeout=3, awaited=(0,))
    assert first["error"] == "RankFailure"
    assert "did not answer within 3 s, in step 4 of stage 'main'" in first["text"]
    assert 2 < first["seconds"] < 20


def test_ranks_whose_weights_differ_are_an_error(tmp_path):
    job = {"kind": "line", "params": {"at": 4, "deed": "perturb"}}
    at_end, at_checkpoint = launch(tmp_path, [
        job, {**job, "keeps": True, "options": {"checkpoint_seconds": 0}}])
    for rank in (0, 1):
        assert at_end[rank]["error"] == at_checkpoint[rank]["error"] == "RankFailure"
        assert at_end[rank]["text"].startswith(
            "ranks disagree at the end: the weights of 'method' differ")
        assert "ranks disagree at step 5 of stage 'main'" in at_checkpoint[rank]["text"]


def test_ranks_that_do_not_come_together_are_an_error(tmp_path, monkeypatch):
    for name, value in {"RANK": "0", "WORLD": "2", "RENDEZVOUS": str(tmp_path / "meeting"),
                        "RANK_TIMEOUT": "1"}.items():
        monkeypatch.setenv(f"SRBENCH_{name}", value)
    with pytest.raises(RankFailure, match="not all ranks came together within 1 s"), joined(CPU):
        pass


# --- one process is as it was


class Operations(TorchDispatchMode):
    """Counts what torch is asked to compute."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_one_process_computes_nothing_for_others():
    batch, weights = torch.rand(4, 2), [torch.rand(3, requires_grad=True)]
    network, values = nn.Linear(2, 2), [1.0, 2.0]
    wish = Decision(going=True, save=True)
    with Operations() as operations, ALONE.once() as mine:
        assert mine
        assert ALONE.mine(batch) is batch
        assert ALONE.share(batch) is batch
        ALONE.mean_gradients("adam", weights)
        ALONE.mean_statistics(weights)
        assert ALONE.mean(values) is values
        assert ALONE.decide("main", 3, wish) is wish
        assert ALONE.everywhere(True)
        ALONE.align([network])
        ALONE.check({"network": network}, "here")
        ALONE.seed(3)
    assert operations.names == []
    assert ALONE.follow(batch) is batch
    assert ALONE.collect(3) == [3]
    assert ALONE.rows(7) == slice(0, 7)


def test_one_process_communicates_with_nobody(monkeypatch):
    def refuse(*given, **named):
        raise AssertionError("a collective in a training of one process")

    for name in ("all_reduce", "broadcast", "broadcast_object_list", "all_gather_object",
                 "init_process_group", "new_group", "barrier"):
        monkeypatch.setattr(dist, name, refuse)
    monkeypatch.delenv("SRBENCH_WORLD", raising=False)
    with joined(CPU) as ranks:
        assert ranks is ALONE
        assert train({"kind": "ots", "scored": True}, ranks)["error"] is None
    assert not dist.is_initialized()


# --- parts


def test_gradients_are_averaged_in_the_memory_order_of_their_weights():
    weights = [nn.Parameter(torch.rand(4, 3, 3, 3).contiguous(memory_format=torch.channels_last)),
               nn.Parameter(torch.rand(5)), nn.Parameter(torch.rand(2, 2))]
    for weight in weights[:2]:
        weight.grad = torch.rand_like(weight)
    expected = [3 * weight.grad / 2 for weight in weights[:2]]
    seen = []

    def add_up(values):  # another process has twice these gradients, and one of the third weight
        seen.append(len(values))
        values.mul_(3)
        values[-5:-3] = 4.0
        values[-1] = 1

    flat = FlatGradients(weights)
    assert flat.holds(weights)
    assert not flat.holds(weights[:2])
    flat.mean(add_up, 2)
    assert seen == [108 + 5 + 4 + 3]
    for weight, wanted in zip(weights, expected, strict=False):
        assert torch.allclose(weight.grad, wanted)
    assert weights[0].grad.is_contiguous(memory_format=torch.channels_last)
    assert weights[2].grad[1].tolist() == [2.0, 2.0]


def test_a_weight_no_process_has_a_gradient_of_keeps_none():
    weight, other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    FlatGradients([weight, other]).mean(lambda values: None, 1)
    assert other.grad is None
    assert weight.grad.tolist() == [1, 1]


def test_the_checksum_sees_one_bit_and_not_the_memory_order():
    network = nn.Conv2d(3, 4, 3).double()
    before = checksum(network)
    assert checksum(network.to(memory_format=torch.channels_last)) == before
    with torch.no_grad():
        network.bias[1] = torch.nextafter(network.bias[1], torch.tensor(9.0).double())
    assert checksum(network) != before
    assert checksum(nn.ReLU()) == 0


def test_each_process_has_its_own_of_several_visible_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    cuda = torch.device("cuda")
    assert own_device(cuda) == cuda
    monkeypatch.setenv("SRBENCH_WORLD", "4")
    monkeypatch.setenv("SRBENCH_RANK", "3")
    assert own_device(cuda) == torch.device("cuda", 1)
    assert own_device(CPU) == CPU
    assert own_device(torch.device("cuda", 0)) == torch.device("cuda", 0)
