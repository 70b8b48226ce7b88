"""One step of every stage, computed again from its batches with plain torch and the formulas."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import lpips
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from srbench import weights
from srbench.training.stage import Step
from srbench_dasr.method import DASR
from srbench_fssr.method import FSSR
from srbench_ots.method import OTS
from tests.two_stage.toy import build, shrink, training_of

CLOSE = {"rtol": 2e-4, "atol": 1e-6}
EPS = 1e-8  # of Adam, and inside the logarithms


class Spy:
    """Watches `Step.minimize`: networks and gradients around each update."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.networks: dict[str, nn.Module] = {}
        self.updates: list[dict[str, Any]] = []
        real = Step.minimize

        def minimize(step, loss, optimizer):
            own = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
            before = {name: deepcopy(network) for name, network in self.networks.items()}
            others = {name: gradients(network) for name, network in self.networks.items()
                      if id(next(network.parameters())) not in own}
            real(step, loss, optimizer)
            who, = (name for name in self.networks if name not in others)
            for name, old in others.items():
                assert unchanged(self.networks[name], before[name]), (who, name)
                new = gradients(self.networks[name])
                assert all((a is None) is (b is None) and (a is None or torch.equal(a, b))
                           for a, b in zip(old, new, strict=True)), (who, name)
            self.updates.append({"who": who, "before": before,
                                 "rate": optimizer.param_groups[0]["lr"],
                                 "after": deepcopy(self.networks[who])})

        monkeypatch.setattr(Step, "minimize", minimize)


def gradients(network: nn.Module) -> list[Tensor | None]:
    return [None if p.grad is None else p.grad.clone() for p in network.parameters()]


def unchanged(network: nn.Module, before: nn.Module) -> bool:
    """Whether the weights are; buffers of batch norms move with every pass."""
    return all(map(torch.equal, network.parameters(), before.parameters()))


def frozen(network: nn.Module, before: dict[str, Tensor]) -> None:
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    for parameter in network.parameters():
        assert parameter.grad is None
        assert not parameter.requires_grad


def first_adam_step(network: nn.Module, loss: Tensor, update: dict[str, Any]) -> None:
    """The first update of Adam moves each weight by rate * g / (|g| + eps)."""
    parameters = list(network.parameters())
    slope = nn.utils.parameters_to_vector(
        [part.contiguous() for part in torch.autograd.grad(loss, parameters)])
    old, new = (nn.utils.parameters_to_vector([part.detach().contiguous() for part in parts])
                for parts in (parameters, update["after"].parameters()))
    expected = -update["rate"] * slope / (slope.abs() + EPS)
    sure = slope.abs() > 1e-3 * slope.abs().max()  # before a norm, slopes of biases are rounding
    assert sure.float().mean() > 0.05
    torch.testing.assert_close((new - old)[sure], expected[sure], rtol=0,
                               atol=0.03 * update["rate"])


def log_score(probability: Tensor) -> Tensor:
    return -torch.log(probability + EPS).mean()


def averaged(x: Tensor, side: int, padding: int, counted: bool) -> Tensor:
    return F.avg_pool2d(x, side, 1, padding, count_include_pad=counted)


def lpips_of(first: Tensor, second: Tensor) -> Tensor:
    """The package's own network and normalisation, its features replaced by those in the cache."""
    network = lpips.LPIPS(net="alex", pnet_rand=True, pretrained=True, verbose=False)
    state = weights.load("alexnet")
    network.net.load_state_dict({
        key: state["features." + key.split(".", 1)[1]] for key in network.net.state_dict()})
    return network.eval()(first, second, normalize=True).mean()


def vgg16() -> nn.Sequential:
    network = torchvision.models.vgg16().features
    network.load_state_dict({key.removeprefix("features."): value
                             for key, value in weights.load("vgg16").items()})
    for layer in network:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    return network.eval()


def haar_bands(x: Tensor) -> tuple[Tensor, Tensor]:
    """LL and the nine bands, band after band, of the blocks [[a, b], [c, d]]."""
    a, b = x[..., ::2, ::2], x[..., ::2, 1::2]
    c, d = x[..., 1::2, ::2], x[..., 1::2, 1::2]
    return (a + b + c + d) / 2, torch.cat(
        [(a + b - c - d) / 2, (a - b + c - d) / 2, (a - b - c + d) / 2], 1)


def captured(monkeypatch, kind, name, keep):
    """Run ``keep(method, *arguments)`` before a step method of the class."""
    real = getattr(kind, name)

    def watched(self, *given):
        keep(self, *given)
        return real(self, *given)

    monkeypatch.setattr(kind, name, watched)


def logged(result: Any, stage: str) -> dict[str, float]:
    """Values of the only step of a stage."""
    history = result.history
    return {name: value for where, name, value
            in zip(history["stage"], history["name"], history["value"], strict=True)
            if where == stage}


def equal(found: dict[str, float], **expected: Tensor) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(torch.tensor(found[name]), value.detach().float(), **CLOSE,
                                   msg=lambda text, name=name: f"{name}: {text}")


@pytest.fixture
def spy(monkeypatch):
    return Spy(monkeypatch)


def one_step(kind, spy, monkeypatch, stages, **given):
    """Fit one step of each stage; returns (method, result, what the step methods were given)."""
    torch.manual_seed(0)
    method = build(kind, **given)
    seen: dict[str, Any] = {}

    def keep(name):
        def store(_, step, players, *rest):
            seen[name] = (torch.get_rng_state(), rest)
            spy.networks = {"G": players.g, "D": players.d}
        return store

    for name in stages:
        captured(monkeypatch, kind, name, keep(name))
    frozen_before = {name: {key: value.clone() for key, value in network.state_dict().items()}
                     for name, network in method.beside.items()}
    training = training_of(method)
    method.fit(training)
    result = training.finish()
    for name in ("lpips", "features"):
        if name in method.beside:
            frozen(method.beside[name], frozen_before[name])
    return method, result, seen


STAGES = ("degradation_step", "restoration_step")


@pytest.mark.usefixtures("backbones")
@pytest.mark.parametrize("residual", [False, True])
def test_fssr(spy, monkeypatch, residual):
    _, result, seen = one_step(
        FSSR, spy, monkeypatch, STAGES, dsgan_iterations=1, iterations=1, residual=residual,
        color_weight=1.5, texture_weight=0.25, perceptual_weight=0.75, pixel_weight=0.3,
        feature_weight=0.6, gan_weight=0.4, dsgan_lr=1e-4, lr=3e-4, milestones=[2])
    assert [update["who"] for update in spy.updates] == ["D", "G", "G", "D"]
    assert [update["rate"] for update in spy.updates] == [1e-4, 1e-4, 3e-4, 3e-4]
    first_d, first_g, second_g, second_d = spy.updates

    # DSGAN: D on real crops and detached fakes, then G against the new D
    rng, (_, source) = seen["degradation_step"]
    assert source.shape == (2, 3, 128, 128)
    assert 0 <= source.min() < source.max() <= 1
    b = shrink(source, 4).clamp(0, 1).float()
    torch.set_rng_state(rng)
    corners = (torch.rand(2, 2, dtype=torch.float64) * 97).long().tolist()
    real = torch.stack([image[:, top:top + 32, left:left + 32]
                        for image, (top, left) in zip(source, corners, strict=True)])
    g, d = first_d["before"]["G"], first_d["before"]["D"]

    def probability(network, x):
        return torch.sigmoid(network.net(0.5 + 0.5 * (x - averaged(x, 5, 2, False))))

    fake = g(b)
    loss_d = log_score(probability(d, real)) + log_score(1 - probability(d, fake.detach()))
    first_adam_step(d, loss_d, first_d)
    color = (averaged(fake, 5, 0, True) - averaged(b, 5, 0, True)).abs().mean()
    texture = log_score(probability(first_g["before"]["D"], fake))
    perceptual = lpips_of(fake, b)
    loss_g = 1.5 * color + 0.25 * texture + 0.75 * perceptual
    first_adam_step(g, loss_g, first_g)
    equal(logged(result, "degradation"), dsgan_d=loss_d, dsgan_g=loss_g, color=color,
          texture=texture, perceptual=perceptual)

    # ESRGAN-FS: G, then D on the images made before G's update
    _, (lr, hr) = seen["restoration_step"]
    assert lr.shape == (2, 3, 8, 8)
    assert hr.shape == (2, 3, 32, 32)
    g, d = second_g["before"]["G"], second_g["before"]["D"]
    sr = g(lr)
    if residual:
        sr = sr + F.interpolate(lr, scale_factor=4, mode="bicubic")
        assert not any(p.any() for p in g.conv_last.parameters())
    layers, mean, std = vgg16(), *(torch.tensor(t)[None, :, None, None] for t in
                                   ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def high(x):
        return 0.5 + 0.5 * (x - averaged(x, 9, 4, True))

    pixel = (averaged(sr, 9, 4, True) - averaged(hr, 9, 4, True)).abs().mean()
    feature = (layers[:29]((sr - mean) / std) - layers[:29]((hr - mean) / std)).abs().mean()
    bce = F.binary_cross_entropy_with_logits
    one, zero = torch.ones(2, 1), torch.zeros(2, 1)

    def relativistic(network, of_real, of_fake, image):
        a, b = network(high(hr)), network(high(image))
        return (bce(a - b.mean(), of_real) + bce(b - a.mean(), of_fake)) / 2

    gan = relativistic(d, zero, one, sr)
    loss_g = 0.3 * pixel + 0.6 * feature + 0.4 * gan
    if residual:  # conv_last is zero, so nothing before it has a slope
        slopes = torch.autograd.grad(loss_g, list(g.parameters()), retain_graph=True)
        assert [bool(slope.any()) for slope in slopes] == [False] * (len(slopes) - 2) + [True] * 2
    else:
        first_adam_step(g, loss_g, second_g)
    loss_d = relativistic(second_d["before"]["D"], one, zero, sr.detach())
    first_adam_step(second_d["before"]["D"], loss_d, second_d)
    equal(logged(result, "restoration"), loss_g=loss_g, loss_d=loss_d, pixel=pixel,
          feature=feature, gan=gan)


@pytest.mark.usefixtures("backbones")
@pytest.mark.parametrize("separation", ["wavelet", "avg"])
def test_dasr(spy, monkeypatch, separation):
    monkeypatch.setattr("srbench_dasr.method.RESTORER_INIT", 1.0)  # 0.1 leaves slopes too small
    _, result, seen = one_step(
        DASR, spy, monkeypatch, STAGES, dsn_iterations=1, iterations=1, residual=False,
        separation=separation, color_weight=1.5, texture_weight=0.25, perceptual_weight=0.75,
        pixel_weight=0.3, wavelet_weight=0.6, lpips_weight=0.5, gan_weight=0.4, dsn_lr=1e-4,
        lr=3e-4, milestones=[1])
    assert [update["who"] for update in spy.updates] == ["D", "G", "G", "D"]
    assert [update["rate"] for update in spy.updates] == [1e-4, 1e-4, 1.5e-4, 1.5e-4]
    first_d, first_g, second_g, second_d = spy.updates

    # DSN
    _, (_, clean, real) = seen["degradation_step"]
    assert clean.shape == (2, 3, 128, 128)
    assert real.shape == (2, 3, 32, 32)
    b = shrink(clean, 4).clamp(0, 1).float()
    g, d = first_d["before"]["G"], first_d["before"]["D"]

    def probability(network, x):
        if separation == "wavelet":
            return torch.sigmoid(network.net(0.5 + 0.5 * haar_bands(x)[1]))
        return torch.sigmoid(network.net(0.5 + 0.5 * (x - averaged(x, 5, 2, False))))

    def low(x):
        return haar_bands(x)[0] / 2 if separation == "wavelet" else averaged(x, 5, 0, True)

    fake = g(clean)
    loss_d = log_score(probability(d, real)) + log_score(1 - probability(d, fake.detach()))
    first_adam_step(d, loss_d, first_d)
    color = (low(fake) - low(b)).abs().mean()
    texture = log_score(probability(first_g["before"]["D"], fake))
    perceptual = lpips_of(fake, b)
    loss_g = 1.5 * color + 0.25 * texture + 0.75 * perceptual
    first_adam_step(g, loss_g, first_g)
    equal(logged(result, "degradation"), dsn_d=loss_d, dsn_g=loss_g, color=color,
          texture=texture, perceptual=perceptual)

    # SRN
    _, ((lr, hr, distance), real, unpaired) = seen["restoration_step"]
    assert [tuple(x.shape) for x in (lr, hr, distance, real, unpaired)] == [
        (2, 3, 32, 32), (2, 3, 128, 128), (2, 1, 16, 16), (2, 3, 32, 32), (2, 3, 128, 128)]
    g, d = second_g["before"]["G"], second_g["before"]["D"]
    sr, sr_real = g(lr), g(real)
    resized = F.interpolate(distance, scale_factor=8, mode="bilinear")
    pixel = (resized * (sr - hr).abs()).mean()
    wavelet = (haar_bands(sr)[0] - haar_bands(hr)[0]).abs().mean()
    perceptual = lpips_of(sr, hr)
    bce = F.binary_cross_entropy_with_logits

    def score(network, x, label):
        value = network(0.5 + 0.5 * haar_bands(x)[1])
        return bce(value, torch.full_like(value, label))

    gan = score(d, sr_real, 1.0)
    loss_g = 0.3 * pixel + 0.6 * wavelet + 0.5 * perceptual + 0.4 * gan
    first_adam_step(g, loss_g, second_g)
    d = second_d["before"]["D"]
    loss_d = (score(d, unpaired, 1.0) + score(d, sr_real.detach(), 0.0)) / 2
    first_adam_step(d, loss_d, second_d)
    equal(logged(result, "restoration"), loss_g=loss_g, loss_d=loss_d, pixel=pixel,
          wavelet=wavelet, perceptual=perceptual, gan=gan)


@pytest.mark.usefixtures("backbones")
@pytest.mark.parametrize(("cost", "residual"), [("mse", True), ("mse", False), ("vgg", False)])
def test_ots_on_photographs(spy, monkeypatch, cost, residual):
    torch.manual_seed(0)
    method = build(OTS, iterations=1, inner_steps=1, cost=cost, cost_factor=0.5,
                   residual=residual, lr_map=1e-4, lr_potential=2e-4, weight_decay=0.0,
                   batch_size=2, map_average=0.75, beta1=0.0)
    start = deepcopy(method.network)
    training = training_of(method)
    drawn = []
    for role in ("lr", "hr"):
        real = getattr(training, role)
        monkeypatch.setattr(training, role, lambda n, real=real: drawn.append(real(n)) or drawn[-1])
    captured(monkeypatch, OTS, "ascend_potential", lambda _, training, step, players:
             setattr(spy, "networks", {"T": method.network, "f": players.f}))
    method.fit(training)
    result = training.finish()
    x, y, second_x = drawn
    assert x.shape == (2, 3, 32, 32)
    assert y.shape == (2, 3, 128, 128)
    assert [update["who"] for update in spy.updates] == ["f", "T"]
    of_f, of_t = spy.updates

    def up(x):
        return F.interpolate(x, scale_factor=4, mode="bicubic", align_corners=False)

    def mapped(network, x):
        return network(x) + up(x) if residual else network(x)

    f, t = of_f["before"]["f"], of_f["before"]["T"]
    gap = f(y).mean() - f(mapped(t, x).detach()).mean()
    first_adam_step(f, -gap, of_f)
    image = mapped(t, second_x)
    c = (up(second_x) - image).square().mean()
    if cost == "vgg":
        layers = vgg16()
        c = c + (up(second_x) - image).abs().mean() / 3
        for last in (3, 8, 15, 22):
            one, other = layers[:last + 1](image), layers[:last + 1](up(second_x))
            c = c + (one - other).square().mean() / 50
    loss = 0.5 * c - of_t["before"]["f"](image).mean()
    equal(logged(result, "main"), loss_f=-gap, gap=gap, loss_map=loss, cost=c)
    if not residual:
        first_adam_step(t, loss, of_t)
    for average, old, new in zip(method.average.parameters(), start.parameters(),
                                 method.network.parameters(), strict=True):
        torch.testing.assert_close(average, 0.75 * old + 0.25 * new, rtol=0, atol=1e-7)
    assert set(method.state_dict()) == {
        f"{name}.{key}" for name in ("network", "average") for key in start.state_dict()}


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(("kind", "name"), [(FSSR, "dsgan"), (DASR, "dsn")])
def test_rates_follow_their_schedules(spy, monkeypatch, kind, name):
    """Stage 1 in ten steps is constant, then falls; stage 2 is halved at updates 2 and 4."""
    given = {f"{name}_iterations": 10, f"{name}_lr": 1e-3, f"{name}_batch_size": 1, "lr": 1e-2,
             "milestones": [2, 4], "iterations": 5}
    one_step(kind, spy, monkeypatch, STAGES, **given)
    rates = [update["rate"] for update in spy.updates]
    assert rates[::2] == rates[1::2]
    epochs, decaying = (300, 150) if kind is FSSR else (400, 150)
    expected = [min(1, (epochs - epochs * k / 10) / decaying) * 1e-3 for k in range(10)]
    assert rates[:20:2] == pytest.approx(expected)
    assert rates[20::2] == pytest.approx([1e-2, 5e-3, 5e-3, 2.5e-3, 2.5e-3])
