"""Losses on VGG features: the paper's numbers with real weights, formulas with random ones."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from srbench import weights
from srbench.errors import CorruptFile, MissingWeights, ParameterError
from srbench.networks import VGGFeatures, esrgan_features, feature_l1, vgg_cost, vgg_distance
from tests.fill import arr, fill, relative_error


def by_hand(state, x, last):
    """Output of every layer of ``features`` up to the last, written out."""
    outputs, index = [], 0
    while index <= last:
        if f"features.{index}.weight" in state:
            kernel, bias = state[f"features.{index}.weight"], state[f"features.{index}.bias"]
            outputs += [F.conv2d(x, kernel, bias, padding=1)]
            outputs += [torch.relu(outputs[-1])]
            index += 2
        else:
            outputs += [F.max_pool2d(x, 2)]
            index += 1
        x = outputs[-1]
    return outputs[: last + 1]


def test_the_cost_of_the_paper_with_real_weights(real_weights, example, fixtures):
    features = VGGFeatures()
    reference = 2 * example("ex_ref") - 1
    figures = json.loads((fixtures / "image_metrics.json").read_text())["values"]
    for name, wanted in figures.items():
        image = 2 * example(name) - 1
        total = float(vgg_cost(features, image, reference))
        assert total == pytest.approx(wanted["total"], rel=1e-5)
        assert float(vgg_distance(features, image, reference)) == pytest.approx(
            wanted["vgg"], rel=1e-5)
        for part in ("mse", "mae"):
            alone = {"mse": 0.0, "mae": 0.0, "vgg": 0.0, part: 1.0}
            assert float(vgg_cost(features, image, reference, **alone)) == pytest.approx(
                wanted[part], rel=1e-5)


def test_the_cost_of_a_batch_is_the_mean_over_its_images(real_weights, example):
    features = VGGFeatures()
    images = torch.cat([2 * example(name) - 1 for name in ("ex_p0", "ex_p1")])
    reference = (2 * example("ex_ref") - 1).expand(2, -1, -1, -1)
    alone = [float(vgg_cost(features, images[i : i + 1], reference[:1])) for i in range(2)]
    assert float(vgg_cost(features, images, reference)) == pytest.approx(sum(alone) / 2, rel=1e-5)
    last = [t.contiguous(memory_format=torch.channels_last) for t in (images, reference)]
    assert float(vgg_cost(features, *last)) == pytest.approx(sum(alone) / 2, rel=1e-5)


def test_the_substitute_for_vgg19_with_real_weights(real_weights, example):
    """VGG-16's conv5_3 before its ReLU tells apart what is far from what is farther."""
    features = esrgan_features(16)
    found = features(example("ex_ref"))[0]
    assert found.shape == (1, 512, 4, 4)
    assert found.min() < 0
    distances = [float(feature_l1(features, example(name), example("ex_ref")))
                 for name in ("ex_ref", "ex_p0", "ex_p1")]
    assert distances[0] == 0
    assert min(distances[1:]) > 0.05


@pytest.mark.parametrize(("depth", "layers"), [
    (16, (3, 8, 15, 22)), (16, (28,)), (16, (0, 1, 2)), (16, (27, 28, 29, 30)), (19, (34,)),
    (19, (0, 16, 17, 18)),
])
def test_features_are_the_layers_of_torchvision(random_weights, depth, layers):
    state = random_weights(f"vgg{depth}")
    x = arr(0, (2, 3, 32, 32))
    expected = by_hand(state, x, layers[-1])
    found = VGGFeatures(depth, layers)(x)
    assert len(found) == len(layers)
    for layer, value in zip(layers, found, strict=True):
        assert relative_error(value, expected[layer]) < 1e-5, layer


def test_features_of_esrgan_are_normalised_and_before_the_relu(random_weights):
    state = random_weights("vgg19")
    x = arr(1, (1, 3, 32, 32), 0, 1)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = (x - mean[:, None, None]) / std[:, None, None]
    features = esrgan_features()
    assert (features.layers, features.normalise) == ((34,), True)
    found = features(x)[0]
    assert relative_error(found, by_hand(state, normalised, 34)[34]) < 1e-5
    assert found.min() < 0
    other = arr(2, (1, 3, 32, 32), 0, 1)
    expected = (found - features(other)[0]).abs().mean()
    torch.testing.assert_close(feature_l1(features, x, other), expected)


def test_weights_of_the_cost_by_hand(random_weights):
    """a = b + 1/2: MSE 1/4 and MAE 1/2, so 1/4 + 1/6 without the features."""
    random_weights("vgg16")
    features = VGGFeatures(layers=(1,))
    b = arr(3, (2, 3, 8, 8))
    a = b + 0.5
    assert float(vgg_cost(features, a, b, vgg=0.0)) == pytest.approx(0.25 + 0.5 / 3, abs=1e-6)
    distance = float(vgg_distance(features, a, b))
    expected = (features(a)[0] - features(b)[0]).square().mean()
    assert distance == pytest.approx(float(expected))
    assert float(vgg_cost(features, a, b)) == pytest.approx(
        0.25 + 0.5 / 3 + distance / 50, rel=1e-6)
    assert float(vgg_cost(features, a, b, mse=2, mae=0, vgg=3)) == pytest.approx(
        0.5 + 3 * distance, rel=1e-6)
    assert float(vgg_cost(features, b, b)) == 0


def test_gradients_reach_the_images_and_not_the_network(random_weights):
    random_weights("vgg16")
    features = VGGFeatures(layers=(3, 8))
    generator = fill(nn.Conv2d(3, 3, 1))
    x, b = arr(4, (1, 3, 16, 16)), arr(5, (1, 3, 16, 16)).requires_grad_()
    vgg_cost(features, generator(x), b).backward()
    assert generator.weight.grad.abs().sum() > 0
    assert b.grad.abs().sum() > 0
    b.grad = None
    feature_l1(features, generator(x), b).backward()
    assert b.grad is None
    assert all(not p.requires_grad and p.grad is None for p in features.parameters())


def test_gradients_equal_finite_differences_with_layers_on_both_sides_of_a_relu(random_weights):
    """A ReLU in place would overwrite a feature that was asked for before it."""
    random_weights("vgg16")
    features = VGGFeatures(layers=(0, 1, 2, 5)).double()
    a, b = arr(6, (1, 3, 8, 8)).double(), arr(7, (1, 3, 8, 8)).double()
    point = a.clone().requires_grad_()
    vgg_cost(features, point, b).backward()
    direction = arr(8, (1, 3, 8, 8)).double()
    ahead, behind = (vgg_cost(features, a + s * direction, b) for s in (1e-6, -1e-6))
    expected = float(ahead - behind) / 2e-6
    assert float((point.grad * direction).sum()) == pytest.approx(expected, rel=1e-5)


def test_the_network_stays_frozen_inside_a_training_module(random_weights):
    random_weights("vgg16")
    features = VGGFeatures(layers=(1,))
    outer = nn.ModuleDict({"features": features, "other": nn.Conv2d(3, 3, 1)}).train()
    assert not any(part.training for part in features.modules())
    assert outer.training
    assert {key.partition(".")[0] for key in outer.state_dict()} == {"features", "other"}
    assert not [key for key in outer.state_dict() if key.endswith(("mean", "std"))]


def test_building_it_moves_no_random_state_and_builds_no_more_than_needed(random_weights):
    random_weights("vgg16")
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    features = VGGFeatures()
    assert torch.equal(torch.rand(4), wanted)
    assert len(features.features) == 23
    assert sum(isinstance(part, nn.Conv2d) for part in features.features) == 10


@pytest.mark.parametrize(("depth", "name"), [(16, "vgg16"), (19, "vgg19")])
def test_missing_weights_say_the_command(depth, name):
    with pytest.raises(MissingWeights) as caught:
        esrgan_features(depth)
    assert caught.value.hint == f"srbench fetch weights {name}"


def test_weights_of_another_network_are_refused(random_weights, monkeypatch):
    state = random_weights("vgg16")
    monkeypatch.setattr(weights, "load", lambda name: state)
    with pytest.raises(CorruptFile, match=r"'features\.16\.weight' is missing"):
        esrgan_features(19)


@pytest.mark.parametrize(("wrong", "message"), [
    ({"depth": 13}, "depth 13"), ({"layers": ()}, r"layers \(\)"), ({"layers": (31,)}, "layers"),
    ({"layers": (-1,)}, "layers"), ({"layers": (8, 3)}, "layers"), ({"layers": (3, 3)}, "layers"),
    ({"depth": 19, "layers": (37,)}, "VGG-19"),
])
def test_refuses_what_there_is_not(wrong, message):
    with pytest.raises(ParameterError, match=message):
        VGGFeatures(**wrong)
