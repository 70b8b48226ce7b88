"""LPIPS as a loss: the package's values, finite gradients to the image alone."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from srbench.errors import MissingWeights
from srbench.networks import load_lpips, lpips_loss
from srbench.networks.lpips_network import (
    build_network,
    lpips_distance,
    lpips_package,
    unit_features,
)
from tests.fill import arr, fill


@pytest.fixture
def network(random_weights):
    return build_network(random_weights("alexnet"))


def test_published_values_with_real_weights(real_weights, example, fixtures):
    network = build_network(real_weights["alexnet"])
    figures = json.loads((fixtures / "image_metrics.json").read_text())["values"]
    losses = []
    for name, wanted in figures.items():
        losses.append(float(lpips_loss(network, example(name), example("ex_ref"))))
        assert losses[-1] == pytest.approx(wanted["lpips_alex"], rel=1e-4)
    both = torch.cat([example(name) for name in figures])
    reference = example("ex_ref").expand(2, -1, -1, -1)
    assert float(lpips_loss(network, both, reference)) == pytest.approx(sum(losses) / 2, rel=1e-5)


def test_the_loss_and_its_gradient_are_the_packages_own(network):
    """`LPIPS.forward(normalize=True)` takes [0, 1] as well; nothing is clamped."""
    image, reference = arr(0, (3, 3, 48, 40), -0.2, 1.2), arr(1, (3, 3, 48, 40), 0, 1)
    ours, theirs = (image.clone().requires_grad_() for _ in range(2))
    loss = lpips_loss(network, ours, reference)
    wanted = network(theirs, reference, normalize=True).mean()
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-7)
    loss.backward()
    wanted.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-7)


def test_unit_features_are_those_of_the_package(network):
    images = arr(2, (2, 3, 40, 40))
    maps = network.net(network.scaling_layer(images))
    found = unit_features(network, images)
    assert len(found) == 5
    for one, layer in zip(found, maps, strict=True):
        torch.testing.assert_close(one, lpips_package().normalize_tensor(layer))
        length = one.square().sum(1)
        assert ((length - 1).abs() < 1e-4).logical_or(length == 0).all()


def test_equal_images_are_at_zero_and_order_does_not_matter(network):
    first, second = (unit_features(network, arr(seed, (2, 3, 40, 40))) for seed in (3, 4))
    assert lpips_distance(network, first, first).abs().max() == 0
    there, back = lpips_distance(network, first, second), lpips_distance(network, second, first)
    assert there.shape == (2,)
    torch.testing.assert_close(there, back)
    assert there.min() > 0


def test_gradients_reach_the_image_only(network):
    generator = fill(nn.Conv2d(3, 3, 1))
    reference = arr(5, (1, 3, 40, 40), 0, 1).requires_grad_()
    lpips_loss(network, torch.sigmoid(generator(arr(6, (1, 3, 40, 40)))), reference).backward()
    assert generator.weight.grad.abs().sum() > 0
    assert reference.grad is None
    assert all(not p.requires_grad and p.grad is None for p in network.parameters())


def test_the_gradient_is_finite_where_all_features_are_zero(network):
    """The package's own is not a number there: the norm's square root has no slope at zero."""
    for convolution in network.net.slice1:
        if isinstance(convolution, nn.Conv2d):
            nn.init.constant_(convolution.bias, -1e3)
    image = arr(7, (1, 3, 40, 40), 0, 1).requires_grad_()
    loss = lpips_loss(network, image, arr(8, (1, 3, 40, 40), 0, 1))
    loss.backward()
    assert loss.isfinite()
    assert image.grad.isfinite().all()


def test_the_gradient_vanishes_at_the_reference(network):
    image = arr(9, (1, 3, 40, 40), 0, 1)
    point = image.clone().requires_grad_()
    lpips_loss(network, point, image).backward()
    assert float(point.grad.abs().max()) < 1e-6


def test_gradients_equal_finite_differences(network):
    network = network.double()
    image, reference = (arr(seed, (1, 3, 40, 40), 0, 1).double() for seed in (10, 11))
    direction = arr(12, (1, 3, 40, 40)).double()
    point = image.clone().requires_grad_()
    lpips_loss(network, point, reference).backward()
    ahead, behind = (lpips_loss(network, image + s * direction, reference) for s in (1e-6, -1e-6))
    expected = float(ahead - behind) / 2e-6
    assert float((point.grad * direction).sum()) == pytest.approx(expected, rel=1e-4)


def test_features_are_normalised_in_float32_under_autocast(network):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = unit_features(network, arr(15, (1, 3, 40, 40)))
    for layer, exact in zip(found, unit_features(network, arr(15, (1, 3, 40, 40))), strict=True):
        assert layer.dtype == torch.float32
        torch.testing.assert_close(layer, exact, atol=0.1, rtol=0)


def test_channels_last_gives_the_same_number(network):
    image, reference = arr(13, (2, 3, 40, 40), 0, 1), arr(14, (2, 3, 40, 40), 0, 1)
    last = [t.contiguous(memory_format=torch.channels_last) for t in (image, reference)]
    torch.testing.assert_close(lpips_loss(network, *last), lpips_loss(network, image, reference))


def test_building_it_moves_no_random_state(random_weights):
    features = random_weights("alexnet")
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    network = build_network(features)
    assert torch.equal(torch.rand(4), wanted)
    assert not network.training


def test_it_is_loaded_from_this_machine_or_the_command_is_said(random_weights):
    with pytest.raises(MissingWeights) as caught:
        load_lpips()
    assert caught.value.hint == "srbench fetch weights alexnet"
    state = random_weights("alexnet")
    assert torch.equal(load_lpips().net.slice1[0].weight, state["features.0.weight"])
