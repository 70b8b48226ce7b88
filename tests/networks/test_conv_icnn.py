"""The convex potential of the image pairs, and the transport map that is its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from srbench.errors import ParameterError
from srbench.networks import ConvICNN64
from srbench.networks.conv_icnn import ConvQuadratic
from tests.fill import arr, fill

D = 3 * 64 * 64


@pytest.fixture(scope="module")
def convex() -> ConvICNN64:
    """Random weights large enough for the activations to bend, projected."""
    torch.manual_seed(3)
    network = ConvICNN64().double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
    network.project()
    return network


def test_push_is_strongly_monotone(convex):
    x, y = arr(0, (6, D)).double(), arr(1, (6, D)).double()
    y[3:] = x[3:] + 0.05 * y[3:]  # near pairs as well as far ones
    inner = ((convex.push(x) - convex.push(y)) * (x - y)).sum(dim=1)
    square = (x - y).square().sum(dim=1)
    assert (inner >= 0.01 * square * (1 - 1e-9)).all()
    assert (inner > 0.0101 * square).all()  # not the quadratic term alone


def test_potential_is_convex_along_segments(convex):
    x, y = arr(2, (4, D)).double(), arr(3, (4, D)).double()
    with torch.no_grad():
        chord = 0.5 * (convex(x) + convex(y))
        middle = convex(0.5 * (x + y))
    assert (chord - middle >= 0.00125 * (x - y).square().sum(dim=1) * (1 - 1e-9)).all()


def test_without_projection_a_segment_bends_down():
    """The test above can fail: clamping is what makes the network convex."""
    torch.manual_seed(3)
    network = ConvICNN64(strong_convexity=0.0).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
        network.pos_features[7].weight.abs_().neg_()
        x, y = arr(2, (4, D)).double(), arr(3, (4, D)).double()
        gap = 0.5 * (network(x) + network(y)) - network(0.5 * (x + y))
    assert (gap < 0).any()


def test_push_equals_finite_differences(convex):
    x = arr(4, (2, D)).double()
    direction = arr(5, (2, D)).double()
    step = 1e-5
    with torch.no_grad():
        slope = (convex(x + step * direction) - convex(x - step * direction)) / (2 * step)
    found = (convex.push(x) * direction).sum(dim=1)
    assert torch.allclose(found, slope, rtol=1e-7)


def test_push_works_without_gradients_and_keeps_no_graph(convex):
    x = arr(6, (2, D)).double()
    expected = convex.push(x)
    with torch.no_grad():
        assert torch.equal(convex.push(x), expected)
    with torch.inference_mode():
        inside = convex.push(x * 1)
    assert torch.equal(inside, expected)
    assert not inside.requires_grad
    assert inside.grad_fn is None
    assert not inside.is_inference()  # may be used in training afterwards
    assert x.grad is None
    assert not x.requires_grad
    assert all(parameter.grad is None for parameter in convex.parameters())


def test_push_of_an_input_that_requires_gradients_leaves_it_alone(convex):
    x = arr(6, (1, D)).double().requires_grad_()
    assert not convex.push(x).requires_grad
    assert x.grad is None


def test_flat_vectors_and_images_are_the_same_thing(convex):
    x = arr(7, (2, D)).double()
    images = x.reshape(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(convex(x), convex(images))
    assert torch.equal(convex.push(x).reshape(images.shape), convex.push(images))


def test_push_of_channels_last_images_is_the_same_map(convex):
    images = arr(7, (2, 3, 64, 64)).double()
    last = images.to(memory_format=torch.channels_last)
    assert torch.allclose(convex.push(last), convex.push(images), rtol=1e-10)


def test_push_of_a_batch_treats_samples_apart(convex):
    x = arr(8, (3, D)).double()
    assert torch.allclose(convex.push(x)[1:2], convex.push(x[1:2]), rtol=1e-10)


def test_push_refuses_to_be_random():
    with pytest.raises(RuntimeError, match="eval"):
        ConvICNN64(rank=1).push(torch.zeros(1, D))
    pushed = ConvICNN64(rank=1, dropout=0.0).push(torch.zeros(1, D))
    assert pushed.shape == (1, D)


def test_dropout_acts_in_train_mode_only():
    network = fill(ConvICNN64(rank=1, dropout=0.3))
    x = arr(9, (1, D))
    with torch.no_grad():
        assert not torch.equal(network(x), network(x))
        network.eval()
        assert torch.equal(network(x), network(x))


def test_strong_convexity_adds_a_multiple_of_the_identity():
    state = ConvICNN64(rank=1).state_dict()
    pushes = []
    x = arr(10, (1, D))
    for strength in (0.0, 0.25):
        network = ConvICNN64(rank=1, strong_convexity=strength).eval()
        network.load_state_dict(state)
        pushes.append(network.push(x))
    assert torch.allclose(pushes[1] - pushes[0], 0.25 * x, atol=1e-6)


def test_projection_touches_the_convex_path_and_nothing_else():
    network = fill(ConvICNN64(rank=1))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.project()
    for key, value in network.state_dict().items():
        on_the_path = value.ndim > 1 and not key.startswith("quadratic_layers")
        assert torch.equal(value, before[key].clamp(min=0) if on_the_path else before[key]), key
        assert not on_the_path or before[key].min() < 0, key


def test_parameters_start_small():
    torch.manual_seed(0)
    network = ConvICNN64(rank=1)
    for key, value in network.named_parameters():
        if value.numel() > 1000:
            assert value.std().item() == pytest.approx(0.01, rel=0.1), key


def test_quadratic_layer_is_a_sum_of_squares_plus_a_linear_map():
    layer = fill(ConvQuadratic(2, 3, kernel=3, stride=2, padding=1, rank=4))
    x = arr(11, (1, 2, 5, 5))
    with torch.no_grad():
        found = layer(x)[0].numpy()
    squares = layer.quadratic_decomposed.weight.detach().numpy()
    linear = layer.linear.weight.detach().numpy()
    padded = np.pad(x[0].numpy(), ((0, 0), (1, 1), (1, 1)))
    for o, i, j in np.ndindex(3, 3, 3):
        patch = padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        square = sum((squares[4 * o + r] * patch).sum() ** 2 for r in range(4))
        assert found[o, i, j] == pytest.approx(square + (linear[o] * patch).sum(), abs=1e-5)


def celu(t, alpha):
    return t.clamp(min=0) + (alpha * (torch.exp(t / alpha) - 1)).clamp(max=0)


def by_the_formula(state, images):
    """Value of the network written out from its state dict, and how often each CELU bends."""

    def conv(key, x, stride, padding):
        return F.conv2d(x, state[f"{key}.weight"], state.get(f"{key}.bias"), stride, padding)

    def quadratic(key, stride, padding):
        squares = conv(f"{key}.quadratic_decomposed", images, stride, padding).square()
        by_rank = [squares[:, r::4] for r in range(4)]
        return sum(by_rank) + conv(f"{key}.linear", images, stride, padding)

    h = conv("convex_layers.0", quadratic("quadratic_layers.0", 2, 1), 2, 1)
    sums = [h + quadratic("quadratic_layers.1", 4, 2)]
    sums.append(conv("pos_features.1", celu(sums[0], 1.0), 2, 1))
    sums.append(conv("pos_features.4", celu(sums[1], 0.2), 2, 1))
    value = conv("pos_features.7", celu(sums[2], 0.2), 1, 0).flatten()
    negative = [(t < 0).double().mean().item() for t in sums]
    return value + 0.005 * images.square().sum(dim=(1, 2, 3)), negative


def test_equals_the_formula_where_every_activation_bends():
    """Weights small enough that all three CELUs see both signs, which the fixture's do not."""
    torch.manual_seed(4)
    network = ConvICNN64().double().eval()
    network.project()
    with torch.no_grad():
        for key, value in network.named_parameters():
            if key.endswith("bias"):
                value.copy_(torch.randn_like(value))
            elif "pos_features" in key:
                value.sub_(0.004)  # both signs again: this is about the formula, not convexity
        images = arr(12, (2, 3, 64, 64)).double()
        expected, negative = by_the_formula(network.state_dict(), images)
        found = network(images)
    assert all(0.1 < share < 0.9 for share in negative), negative
    assert torch.allclose(found, expected, rtol=1e-10)


def test_dropout_after_the_first_sum_drops_whole_channels():
    network = fill(ConvICNN64(rank=1, dropout=0.25))
    seen = []
    network.pos_features[0].register_forward_hook(lambda *call: seen.append(call[1][0]))
    torch.manual_seed(0)
    with torch.no_grad():
        network(arr(13, (1, D)))
        network.eval()(arr(13, (1, D)))
    dropped, whole = (features[0].flatten(1) for features in seen)  # (256, 16 * 16)
    gone = (dropped == 0).all(dim=1)
    assert 0.15 < gone.double().mean() < 0.35
    assert torch.allclose(dropped[~gone], whole[~gone] / 0.75, rtol=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"strong_convexity": -1.0}, {"dropout": 1.0}, {"dropout": -0.1}, {"rank": 0}]
)
def test_refuses_parameters_out_of_range(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ParameterError, match=f"{name}={value}"):
        ConvICNN64(**wrong)
