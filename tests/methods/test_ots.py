"""OTS through the real Training: what it learns, in what order, and what a resume keeps."""

from __future__ import annotations

import pytest
import torch

from srbench import Problem, Skipped
from srbench.errors import Interrupted, ParameterError
from srbench_ots.method import OTS, OTSParams
from tests.methods.toy import GaussianPair, Noise, TwoPoints, l2_uvp, train

FAST = {"inner_steps": 5, "batch_size": 256, "hidden": 32, "depth": 2}
TINY = {"iterations": 2, "inner_steps": 2, "batch_size": 4, "unet_base": 2, "potential_filters": 2}


@pytest.mark.parametrize("order", ["f-first", "T-first"])
def test_finds_the_affine_map_between_two_gaussians(order):
    dataset = GaussianPair()
    method, result = train(OTS, dataset, iterations=300, order=order, **FAST)
    assert l2_uvp(method, dataset) < 3
    assert l2_uvp(lambda x: x, dataset) > 40  # where it started
    assert result.stages[0].calls == {"map": 300 * 6 * 256, "potential": 300 * (2 + 5) * 256}
    assert result.stages[0].images == 300 * (2 + 5) * 256  # x and y for f, x alone for T


def test_reaches_the_true_map_of_the_papers_example_1():
    method, _ = train(OTS, TwoPoints(), iterations=300, **{**FAST, "batch_size": 64})
    assert method(torch.tensor([[0.0], [2.0]])).flatten().tolist() == pytest.approx([1, 3], abs=0.1)


def test_the_cost_factor_does_not_move_the_optimum():
    dataset = GaussianPair()
    method, _ = train(OTS, dataset, iterations=300, cost_factor=0.5, **FAST)
    assert l2_uvp(method, dataset) < 4


def test_order_decides_who_moves_first():
    logged = []

    class Step:
        index = 0

        def minimize(self, loss, optimizer):
            logged.append(optimizer)

        def log(self, **values):
            pass

    class OneStep:
        device = torch.device("cpu")

        def lr(self, n):
            return torch.zeros(n, 2)

        hr = lr

        def track(self, **objects):
            self.__dict__.update(objects)
            return next(iter(objects.values()))

        def steps(self, n):
            yield Step()

    for order, first in (("f-first", 0), ("T-first", -1)):
        logged.clear()
        training = OneStep()
        params = OTSParams.resolve("quick", "vector", {"order": order, "inner_steps": 2,
                                                      "lr_decay": "none"})
        OTS(params, GaussianPair().problem).fit(training)
        assert [o is training.potential_optimizer for o in logged].count(True) == 1
        assert logged[first] is training.potential_optimizer


def test_trains_images_in_bf16_and_leaves_the_map_in_eval_mode():
    method, result = train(OTS, Noise(), precision="bf16", log_every=1, **TINY)
    assert not method.training
    assert set(result.history["name"]) >= {"loss_f", "loss_map", "cost", "gap"}
    assert result.stages[0].calls == {"map": 2 * 3 * 4, "potential": 2 * 4 * 4}


def test_a_residual_map_starts_at_the_identity_and_a_plain_one_does_not():
    x = torch.rand(2, 3, 16, 16)
    for residual in (True, False):
        params = OTSParams.resolve("quick", "image", {**TINY, "residual": residual})
        method = OTS(params, Noise().problem).eval()
        assert torch.equal(method(x), x) is residual


def test_f_learns_against_running_statistics_and_t_with_batch_statistics(monkeypatch):
    modes = []
    forward = OTS.forward

    def watched(self, lr):
        modes.append((self.training, torch.is_grad_enabled()))
        return forward(self, lr)

    monkeypatch.setattr(OTS, "forward", watched)
    train(OTS, Noise(), **TINY)
    assert modes == [(False, False), (True, True), (True, True)] * 2


@pytest.mark.parametrize(("decay", "halfway"), [("none", 1e-3), ("linear", 5e-4), ("cosine", 5e-4)])
def test_learning_rates_decay_as_asked(monkeypatch, decay, halfway):
    rates = []
    step = OTS.descend_map

    def watched(self, training, running, players):
        rates.append(players.map_optimizer.param_groups[0]["lr"])
        assert players.potential_optimizer.param_groups[0]["lr"] == rates[-1]
        step(self, training, running, players)

    monkeypatch.setattr(OTS, "descend_map", watched)
    train(OTS, GaussianPair(), iterations=10, lr_decay=decay, lr_map=1e-3, lr_potential=1e-3,
          **{**FAST, "inner_steps": 1})
    assert len(rates) == 10
    assert rates[0] == pytest.approx(1e-3)
    assert rates[5] == pytest.approx(halfway)
    assert rates[-1] > 0


def test_an_interrupted_run_ends_with_the_same_bits(tmp_path):
    given = {"iterations": 12, "lr_decay": "cosine", **FAST}
    whole, _ = train(OTS, GaussianPair(), **given)
    looks = []

    def after_five():
        looks.append(None)
        return len(looks) == 5

    with pytest.raises(Interrupted):
        train(OTS, GaussianPair(), folder=tmp_path, should_stop=after_five, **given)
    resumed, result = train(OTS, GaussianPair(), folder=tmp_path, **given)
    assert result.resumes == 1
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_presets_hold_the_papers_and_the_codes_values():
    def values(preset):
        p = OTSParams.resolve(preset, "image", {})
        return (p.iterations, p.inner_steps, p.batch_size, p.lr_map, p.lr_potential, p.beta1,
                p.beta2, p.weight_decay, p.unet_base, p.potential_filters, p.potential_slope,
                p.residual, p.cost_factor, p.order, p.lr_decay)

    assert values("paper") == (10_000, 10, 64, 1e-4, 1e-4, 0, 0.9, 0, 64, 64, 0, False, 1,
                               "f-first", "none")
    assert values("code") == (25_000, 10, 64, 1e-4, 1e-4, 0, 0.9, 0, 32, 64, 0, False, 1,
                              "f-first", "none")


def test_networks_are_the_published_ones():
    problem = Problem(domain="image", lr_shape=(3, 64, 64), hr_shape=(3, 64, 64))
    with torch.device("meta"):
        method = OTS(OTSParams.resolve("code", "image", {}), problem)
        f = method.build_potential()
    assert sum(p.numel() for p in method.parameters()) == 4_320_675
    assert sum(p.numel() for p in f.parameters()) == 22_933_441


def test_the_potential_starts_as_its_slope_says():
    problem = Problem(domain="image", lr_shape=(3, 16, 16), hr_shape=(3, 16, 16))

    def spread(slope):
        given = {"potential_slope": slope, "potential_filters": 16}
        params = OTSParams.resolve("quick", "image", given)
        return OTS(params, problem).build_potential().resnet[1].conv_0.weight.std().item()

    fan_out = 16 * 9
    assert spread(0.0) == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)
    assert spread(2.0) == pytest.approx((2 / 5 / fan_out) ** 0.5, rel=0.1)
    assert spread(None) < 0.06  # PyTorch's own, uniform with variance 1 / (3 fan_in)


def test_what_cannot_be_done_is_refused():
    lifted = Problem(domain="image", lr_shape=(3, 8, 8), hr_shape=(3, 16, 16), scale=2)
    with pytest.raises(Skipped, match="one shape"):
        OTS(OTSParams.resolve("quick", "image", {}), lifted)
    wide = Problem(domain="image", lr_shape=(3, 16, 32), hr_shape=(3, 16, 32))
    with pytest.raises(Skipped, match=r"square images, not \(3, 16, 32\)"):
        OTS(OTSParams.resolve("quick", "image", {}), wide).build_potential()
    with pytest.raises(ParameterError, match="cost='perp'"):
        OTSParams.resolve("quick", "image", {"cost": "perp"})
    with pytest.raises(Skipped, match="cost='vgg' compares images"):
        OTS(OTSParams.resolve("quick", "vector", {"cost": "vgg"}), GaussianPair().problem)


class TestTheAveragedMap:
    """``map_average``: what is evaluated is the moving average of T, what is trained is T."""

    def averaged(self, decay: float, **given):
        params = OTSParams.resolve("quick", "image", {**TINY, "map_average": decay, **given})
        shape = (3, 32, 32)
        return OTS(params, Problem(domain="image", lr_shape=shape, hr_shape=shape))

    def test_follows_the_weights_and_the_statistics_by_its_decay(self):
        method = self.averaged(0.75)
        before = {name: value.clone() for name, value in method.average.state_dict().items()}
        with torch.no_grad():
            for value in method.network.state_dict().values():
                value += 4
        method.update_average()
        for name, value in method.average.state_dict().items():
            moved = value - before[name]
            whole = not value.is_floating_point()  # num_batches_tracked is taken over
            expected = torch.full_like(moved, 4 if whole else 1).double()
            assert torch.allclose(moved.double(), expected, atol=1e-5), name

    def test_is_served_in_both_modes_and_never_inside_a_training_step(self):
        method = self.averaged(0.5)
        with torch.no_grad():
            method.network.outc.conv.bias += 1
        x = torch.zeros(2, 3, 32, 32)
        method.eval()
        assert torch.equal(method(x), x + method.average(x))
        with method.seen_by_potential():
            assert torch.equal(method(x), x + method.network(x))
            assert not method.training
        assert torch.equal(method(x), x + method.average(x))
        method.train()  # as the released evaluation runs it: the averaged map, batch statistics
        assert torch.equal(method(x), x + method.average(x))
        with method.itself():
            assert torch.equal(method(x), x + method.network(x))
        assert torch.equal(method(x), x + method.average(x))

    def test_is_not_there_by_default_and_not_in_the_published_presets(self):
        for preset in ("paper", "code"):
            assert OTSParams.resolve(preset, "image", {}).map_average == 0
        assert self.averaged(0.0).average is None

    def test_changes_nothing_in_the_training_and_adds_no_trainable_values(self):
        dataset = GaussianPair()
        given = {**FAST, "iterations": 40, "map_average": 0.9}
        method, result = train(OTS, dataset, **given)
        plain, _ = train(OTS, dataset, **{**given, "map_average": 0.0})
        # The average changes nothing in the training of T itself.
        for name, value in plain.network.state_dict().items():
            assert torch.equal(value, method.network.state_dict()[name]), name
        assert result.parameters == sum(p.numel() for p in plain.parameters())
        assert l2_uvp(method, dataset) != l2_uvp(plain, dataset)
