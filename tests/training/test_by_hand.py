"""The small parts of a training against numbers worked out by hand."""

from __future__ import annotations

import math
import time

import pandas as pd
import pytest
import torch
from torch import nn

from srbench.errors import Diverged, StoreError
from srbench.training.budget import UNLIMITED, Budget
from srbench.training.clocks import OUTSIDE, Ledger
from srbench.training.history import TYPES, History
from srbench.training.monitor import Monitor, check_weights, diverged, gradient_norm
from srbench.training.oracle import Oracle
from srbench.training.progress import Progress, Schedule
from srbench.training.tracking import Tracked
from srbench.training.validation import undisturbed

CPU = torch.device("cpu")


@pytest.fixture
def now(monkeypatch):
    """A clock that moves only when a test says so."""
    at = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: at[0])
    return at


class TestMonitor:
    def test_means_are_over_all_readings_since_the_last_means(self):
        monitor = Monitor(CPU)
        monitor.log("loss", 1.0)
        monitor.log("loss", torch.tensor([[2.0]]))
        monitor.log("once", torch.tensor(7, dtype=torch.int64))
        monitor.read("main")
        monitor.log("loss", 6.0)
        monitor.read("main")
        assert monitor.state() == {"loss": [9.0, 3], "once": [7.0, 1]}
        assert monitor.means() == {"loss": 3.0, "once": 7.0}
        assert monitor.means() == {}

    def test_what_is_logged_but_not_read_is_in_no_mean(self):
        monitor = Monitor(CPU)
        monitor.log("loss", 1.0)
        assert monitor.means() == {}
        monitor.read("main")
        assert monitor.means() == {"loss": 1.0}

    def test_a_restored_monitor_forgets_what_the_process_logged(self):
        monitor = Monitor(CPU)
        monitor.log("loss", 1e6)
        monitor.watch("adam", 3, torch.tensor(math.nan), [])
        monitor.load({"loss": [4.0, 2]})
        monitor.log("loss", 5.0)
        monitor.read("main")
        assert monitor.means() == {"loss": 3.0}

    def test_a_logged_value_may_be_anything_only_losses_must_be_finite(self):
        monitor = Monitor(CPU)
        monitor.log("margin", math.inf)
        monitor.watch("adam", 1, torch.tensor(0.0), [])
        monitor.read("main")
        assert monitor.means() == {"margin": math.inf}

    @pytest.mark.parametrize(("values", "where"), [
        ([1.0, math.nan, math.inf], r"loss of 'b' is nan at step 2 \("),
        ([1.0, 2.0, -math.inf], r"loss of 'c' is -inf at step 3 \("),
        ([math.inf, math.nan, 0.0], r"loss of 'a' is inf at step 1 \(")])
    def test_the_first_loss_that_fails_is_named(self, values, where):
        monitor = Monitor(CPU)
        for step, (name, value) in enumerate(zip("abc", values, strict=True), start=1):
            monitor.watch(name, step, torch.tensor(value), [])
        with pytest.raises(Diverged, match=where):
            monitor.read("main")
        monitor.read("main")  # nothing is left to complain about twice

    def test_a_gradient_is_looked_at_even_where_the_loss_is_finite(self):
        weight = nn.Parameter(torch.zeros(2))
        weight.grad = torch.tensor([1.0, math.inf])
        monitor = Monitor(CPU)
        monitor.watch("adam", 9, torch.tensor(1.0), [weight])
        with pytest.raises(Diverged, match=r"gradient of 'adam' is inf at step 9 of stage 'warm'"):
            monitor.read("warm")

    def test_the_norm_is_over_all_gradients_together(self):
        weights = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1, 1)),
                   nn.Parameter(torch.zeros(3))]
        weights[0].grad, weights[1].grad = torch.tensor([2.0, 3.0]), torch.tensor([[6.0]])
        assert gradient_norm(weights).item() == pytest.approx(7)

    def test_weights_are_checked_network_by_network(self):
        good, bad = nn.Linear(2, 2), nn.Linear(2, 2)
        check_weights([("good", good), ("none", nn.ReLU())], 5, "main")
        with torch.no_grad():
            bad.bias[1] = math.nan
        with pytest.raises(Diverged, match=r"weights of 'bad' are nan at step 5 \("):
            check_weights([("good", good), ("bad", bad)], 5, "main")

    def test_the_message_says_what_to_do(self):
        error = diverged("loss", "adam", math.nan, 4, "main")
        assert "learning rate" in error.hint
        assert error.exit_code == 3


class TestLedger:
    def test_time_goes_to_the_open_stage_and_none_to_pauses(self, now):
        ledger = Ledger(CPU)
        ledger.open("a")
        now[0] += 2
        assert ledger.seconds == 2
        with ledger.paused():
            now[0] += 50
            assert ledger.seconds == 2
            with ledger.paused():
                now[0] += 50
        now[0] += 3
        ledger.close()
        now[0] += 1000
        ledger.open("b")
        now[0] += 0.5
        ledger.close()
        assert [(c.name, c.seconds) for c in ledger.stages.values()] == [("a", 5), ("b", 0.5)]
        assert ledger.seconds == 5.5

    def test_a_pause_that_fails_goes_on_counting(self, now):
        ledger = Ledger(CPU)
        ledger.open("a")

        def fail():
            with ledger.paused():
                now[0] += 7
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        now[0] += 1
        ledger.count_calls("map", 4)
        assert ledger.seconds == 1
        assert ledger.calls == 4

    def test_nothing_is_counted_where_nothing_is_charged(self):
        ledger = Ledger(CPU)
        ledger.open("a")

        def fail():
            with ledger.uncharged():
                ledger.count_images(5)
                ledger.count_calls("f", 5)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        ledger.count_images(2)
        ledger.count_calls("f", 3)
        assert (ledger.images, ledger.calls) == (2, 3)

    def test_calls_are_not_counted_in_pauses_and_images_are(self):
        ledger = Ledger(CPU)
        ledger.open("a")
        ledger.count_calls("map", 3)
        with ledger.paused():
            ledger.count_calls("map", 100)
            ledger.count_images(2)
        ledger.count_calls("map", 3)
        ledger.count_calls("f", 1)
        assert ledger.stages["a"].calls == {"map": 6, "f": 1}
        assert (ledger.calls, ledger.images) == (7, 2)

    def test_what_comes_before_and_between_stages_stands_apart(self):
        ledger = Ledger(CPU)
        ledger.count_images(5)
        ledger.open("a").steps = 4
        ledger.close()
        ledger.count_images(6)
        assert {name: (c.steps, c.images) for name, c in ledger.stages.items()} == {
            OUTSIDE: (0, 11), "a": (4, 0)}
        assert ledger.steps == 4

    def test_a_loaded_ledger_goes_on_where_it_was(self, now):
        ledger = Ledger(CPU)
        ledger.open("a").steps = 4
        now[0] += 2
        ledger.count_calls("map", 8)
        ledger.close()
        ledger.stages["a"].finished = True
        other = Ledger(CPU)
        other.load(ledger.state())
        ledger.stages["a"].calls["map"] = 0  # no shared dictionaries
        assert other.stages["a"].finished
        assert (other.steps, other.seconds, other.calls) == (4, 2, 8)
        assert other.open("a").cost().model_dump() == {
            "name": "a", "steps": 4, "seconds": 2.0, "images": 0, "calls": {"map": 8}}


class TestBudget:
    @pytest.mark.parametrize(("budget", "steps", "seconds", "allowed", "used"), [
        (UNLIMITED, 10**9, 1e9, True, 0.0), (Budget(steps=10), 9, 1e9, True, 0.9),
        (Budget(steps=10), 10, 0.0, False, 1.0), (Budget(seconds=4.0), 10**9, 3.0, True, 0.75),
        (Budget(seconds=4.0), 0, 4.0, False, 1.0),
        (Budget(steps=10, seconds=4.0), 5, 3.0, True, 0.75),
        (Budget(steps=10, seconds=4.0), 10, 1.0, False, 1.0),
        (Budget(steps=10, seconds=4.0), 1, 6.0, False, 1.5)])
    def test_what_comes_first_counts(self, budget, steps, seconds, allowed, used):
        assert budget.allows(steps, seconds) is allowed
        assert budget.fraction(steps, seconds) == used

    def test_both_limits_are_named(self):
        assert str(Budget(steps=10, seconds=90)) == "90s,10it"
        assert str(UNLIMITED) == ""


class TestSchedule:
    @pytest.mark.parametrize(("number", "planned", "due"), [
        (4, 8, [2, 4, 6, 8]), (3, 10, [4, 7, 10]), (1, 5, [5]), (5, 3, [1, 2, 3]), (0, 4, [])])
    def test_marks(self, number, planned, due):
        schedule = Schedule(number, planned, UNLIMITED, 0, 0.0)
        assert [k for k in range(1, planned + 1) if schedule.due(k, 1e9)] == due

    def test_a_resumed_one_does_not_repeat_what_was_due(self):
        schedule = Schedule(4, 8, UNLIMITED, 4, 0.0)
        assert [k for k in range(5, 9) if schedule.due(k, 0.0)] == [6, 8]

    def test_the_larger_share_counts_once(self):
        schedule = Schedule(2, 100, Budget(seconds=10), 0, 0.0)
        assert not schedule.due(1, 4.9)
        assert schedule.due(2, 5.0)
        assert not schedule.due(50, 6.0)
        assert schedule.due(100, 6.5)


class TestProgress:
    def test_rate_and_time_left(self, now):
        told = []
        progress = Progress(told.append, "main", 100, 10)
        now[0] += 2
        progress.tell(30, None, {"loss": 2.0})
        event, = told
        assert (event["stage"], event["step"], event["steps"]) == ("main", 30, 100)
        assert event["rate"] == pytest.approx(10)
        assert event["eta"] == pytest.approx(7)
        assert event["values"] == {"loss": 2.0}

    def test_time_that_was_no_training_is_left_out(self, now):
        told = []
        progress = Progress(told.append, "main", 100, 0)
        now[0] += 50
        progress.skip(48)
        progress.tell(20, None, {})
        assert told[0]["rate"] == pytest.approx(10)

    def test_the_last_step_is_told_however_soon_and_only_once(self, now):
        told = []
        progress = Progress(told.append, "main", 3, 0)
        for step in (1, 2, 3, 3):
            now[0] += 0.01
            progress.tell(step, None, {})
        assert [event["step"] for event in told] == [3]

    @pytest.mark.parametrize(("left", "eta"), [(3.0, 3.0), (1000.0, 9.0), (-2.0, 0.0)])
    def test_a_budget_of_time_bounds_the_time_left(self, now, left, eta):
        told = []
        progress = Progress(told.append, "main", 100, 0)
        now[0] += 1
        progress.tell(10, left, {})
        assert told[0]["eta"] == pytest.approx(eta)


class TestOracle:
    def test_ties_stay_with_the_earlier_and_infinities_never_win(self):
        oracle, network = Oracle("lower"), nn.Linear(1, 1)
        for step, value in enumerate([math.inf, 3.0, 3.0, -math.inf, math.nan, 4.0]):
            oracle.look(value, step, network)
        assert (oracle.step, oracle.value, oracle.looks) == (1, 3.0, 6)

    def test_the_copy_is_not_the_network(self):
        oracle, network = Oracle("higher"), nn.Linear(1, 1)
        oracle.look(1.0, 1, network)
        kept = oracle.state["weight"].clone()
        with torch.no_grad():
            network.weight += 1
        assert torch.equal(oracle.state["weight"], kept)
        assert not oracle.state["weight"].requires_grad

    def test_what_is_saved_is_what_is_loaded(self):
        oracle, other = Oracle("lower"), Oracle("lower")
        oracle.look(2.0, 7, nn.Linear(1, 1))
        other.load(oracle.saved())
        other.look(3.0, 8, nn.Linear(1, 1))
        assert (other.step, other.value, other.looks) == (7, 2.0, 2)


class TestHistory:
    def test_rows_stand_at_the_clocks_of_their_moment(self, now, tmp_path):
        ledger, history = Ledger(CPU), History()
        ledger.open("a").steps = 3
        ledger.count_images(6)
        now[0] += 4
        history.add(ledger, "a", 3, {"x": 1.0, "y": 2.0})
        ledger.count_calls("map", 5)
        history.add(ledger, "a", 4, {})
        history.add(ledger, "a", 5, {"x": math.nan})
        assert len(history) == 3
        expected = [("a", 3, 4.0, 6, 0, "x"), ("a", 3, 4.0, 6, 0, "y"), ("a", 5, 4.0, 6, 5, "x")]
        table = pd.read_parquet(history.write(tmp_path))
        assert list(table) == list(TYPES)
        assert list(table.drop(columns="value").itertuples(index=False, name=None)) == expected
        assert table["value"].tolist()[:2] == [1.0, 2.0]
        assert table["value"].isna().tolist() == [False, False, True]
        assert [path.name for path in tmp_path.iterdir()] == ["history.parquet"]

    def test_one_that_cannot_be_written_leaves_no_rest(self, tmp_path):
        history = History()
        (tmp_path / "history.parquet").mkdir()
        with pytest.raises(StoreError):
            history.write(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["history.parquet"]


class TestTracked:
    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.frozen = nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False)

        def forward(self, x):
            return self.frozen(self.inner(x))

    def tracked(self):
        calls = []
        method = self.Nested()
        return method, Tracked(method, CPU, lambda name, n: calls.append((name, n))), calls

    def test_a_child_is_counted_only_where_it_is_called_by_itself(self):
        method, _, calls = self.tracked()
        method(torch.zeros(5, 2))
        method.inner(torch.zeros(3, 2))
        method.frozen(torch.zeros(4, 2))
        assert calls == [("map", 5), ("map.inner", 3), ("map.frozen", 4)]

    def test_a_call_that_fails_does_not_hide_the_next_ones(self):
        method, _, calls = self.tracked()
        with pytest.raises(RuntimeError):
            method(torch.zeros(5, 7))
        method.inner(torch.zeros(3, 2))
        assert calls == [("map", 5), ("map.inner", 3)]

    def test_only_trainable_values_count(self):
        _, tracked, _ = self.tracked()
        assert tracked.parameters == 6

    def test_optimizers_are_restored_behind_their_networks(self):
        method, tracked, _ = self.tracked()
        order = []

        class Watched(nn.Linear):
            def load_state_dict(self, *given, **options):
                order.append("network")
                return super().load_state_dict(*given, **options)

        class Watching(torch.optim.SGD):
            def load_state_dict(self, state):
                order.append("optimizer")
                super().load_state_dict(state)

        tracked.add("a-optimizer", Watching(method.inner.parameters(), 0.1))
        tracked.add("z-network", Watched(1, 1))
        tracked.load(tracked.states())
        assert order == ["network", "optimizer"]

    def test_both_lists_of_names_are_told(self):
        _, tracked, _ = self.tracked()
        tracked.add("new", nn.Linear(1, 1))
        with pytest.raises(StoreError, match=r"new not in the checkpoint; old not tracked"):
            tracked.agree({"method", "old"})
        tracked.agree({"method", "new"})


def test_a_look_gives_back_modes_buffers_and_generators_after_an_error():
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(), nn.BatchNorm1d(2).eval())
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)

    def fail():
        with undisturbed(network, CPU):
            assert not any(module.training for module in network)
            assert not torch.is_grad_enabled()
            network.train()
            network(torch.randn(4, 2) + 9)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [module.training for module in network] == [True, True, False]
    assert network[0].running_mean.tolist() == [0, 0]
    assert network[0].num_batches_tracked == 0
    assert torch.equal(torch.rand(2), expected)
    assert torch.is_grad_enabled()
