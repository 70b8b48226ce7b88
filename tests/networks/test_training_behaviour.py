"""What a training step relies on: gradients, memory formats, no hidden copies to the host."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from srbench.networks import (
    EDSR,
    VGG128,
    ConvICNN64,
    DeResnet,
    DSGANDiscriminator,
    DSGANGenerator,
    DSNDiscriminator,
    PatchGAN,
    ResNetGenerator,
    ResNetPotential,
    RRDBNet,
    UNet,
)
from tests.fill import arr, fill, relative_error

SMALL = {
    "unet": (lambda: UNet(4), (2, 3, 32, 32)),
    "potential": (lambda: ResNetPotential(32, 4, filters_max=16), (2, 3, 32, 32)),
    "generator": (lambda: ResNetGenerator(6, 16, filters=4, filters_max=8), (3, 6)),
    "edsr": (lambda: EDSR(2, 6, scale=2), (2, 3, 9, 7)),
    "icnn": (lambda: ConvICNN64(rank=1), (1, 3, 64, 64)),
    "rrdb": (lambda: RRDBNet(6, 2, 3), (2, 3, 7, 6)),
    "dsgan": (lambda: DSGANGenerator(1), (2, 3, 9, 8)),
    "deresnet": (lambda: DeResnet(1), (2, 3, 12, 16)),
    "dsgan_d": (lambda: DSGANDiscriminator(), (2, 3, 9, 10)),
    "dsgan_d_gau": (lambda: DSGANDiscriminator(filter="gau"), (2, 3, 9, 10)),
    "dsn_d": (lambda: DSNDiscriminator(), (2, 3, 12, 16)),
    "dsn_d_nld": (lambda: DSNDiscriminator("nld_s1", filter="gau"), (2, 3, 12, 14)),
    "patchgan": (lambda: PatchGAN(), (2, 9, 32, 32)),
    "vgg128": (lambda: VGG128(2, size=64), (3, 3, 64, 64)),
}
ON_IMAGES = [name for name in SMALL if name != "generator"]


class Operations(TorchDispatchMode):
    """Names of the operations that ran."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


def network_and_input(name, dtype=torch.float32):
    build, shape = SMALL[name]
    torch.manual_seed(1)
    network = fill(build()).to(dtype)
    if isinstance(network, ConvICNN64):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(0.3)
        network.project()
    return network, arr(7, shape).to(dtype)


def slope_along(function, point, direction, step=1e-6):
    """Central difference of a scalar function, in float64."""
    return (function(point + step * direction) - function(point - step * direction)) / (2 * step)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("training", [False, True])
def test_input_gradient_equals_finite_differences(name, training):
    network, x = network_and_input(name, torch.float64)
    network.train(training and name != "icnn")
    weights = torch.randn_like(network(x))
    point = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((network(point) * weights).sum(), point)
    direction = torch.randn_like(x)
    with torch.no_grad():
        expected = slope_along(lambda at: (network(at) * weights).sum(), x, direction)
    assert (gradient * direction).sum().item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_receives_a_gradient(name):
    network, x = network_and_input(name)
    network.train()
    network(x).square().sum().backward()
    without = [key for key, value in network.named_parameters() if value.grad is None]
    assert without == []
    silent = [key for key, value in network.named_parameters() if not value.grad.abs().sum() > 0]
    assert [key for key in silent if network.get_parameter(key).ndim > 1] == []


def test_gradient_penalty_of_the_potential_equals_finite_differences():
    """Twice differentiable through activations in place, which WGAN-GP needs."""
    network, x = network_and_input("potential", torch.float64)

    def penalty():
        point = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(network(point).sum(), point, create_graph=True)
        return (slope.flatten(1).norm(dim=1) - 1).square().mean()

    weight = network.resnet[1].conv_0.weight
    (gradient,) = torch.autograd.grad(penalty(), weight)
    direction = torch.randn_like(weight)
    start = weight.detach().clone()

    def at(value):
        weight.data.copy_(value)
        return penalty().detach()

    expected = slope_along(at, start, direction)
    assert (gradient * direction).sum().item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("name", ON_IMAGES)
def test_channels_last_gives_the_same_numbers(name):
    network, x = network_and_input(name)
    network.eval()
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)
    with torch.no_grad():
        expected = network(x)
        found = last(x.to(memory_format=torch.channels_last))
    assert relative_error(found, expected) < 1e-5


def test_channels_last_gradients_of_a_training_step_are_the_same():
    network, x = network_and_input("potential")
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)
    network(x).sum().backward()
    last(x.to(memory_format=torch.channels_last)).sum().backward()
    for (key, one), other in zip(network.named_parameters(), last.parameters(), strict=True):
        assert relative_error(other.grad, one.grad) < 1e-5, key


@pytest.mark.parametrize("name", SMALL)
def test_a_step_reads_nothing_back_and_builds_no_constant(name):
    """No scalar fetched to the host, no tensor made from Python numbers, no needless padding."""
    network, x = network_and_input(name)
    network.train()
    with Operations() as seen:
        network(x).sum().backward()
    forbidden = ("_local_scalar_dense", "lift_fresh", "constant_pad_nd", "_to_copy")
    assert [one for one in seen.names if any(word in one for word in forbidden)] == []
    assert any("convolution" in one for one in seen.names)


@pytest.mark.parametrize("name", SMALL)
def test_copies_and_pickles_like_any_module(name, tmp_path):
    network, x = network_and_input(name)
    network.eval()
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    other = SMALL[name][0]().eval()
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    with torch.no_grad():
        assert torch.equal(other(x), network(x))
        assert torch.equal(copy.deepcopy(network)(x), network(x))
