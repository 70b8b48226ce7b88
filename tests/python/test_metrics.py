"""The public metric functions: examples run, values are those of independent libraries."""

from __future__ import annotations

import doctest
from importlib import import_module

import numpy as np
import ot
import piq
import pytest
import torch
from scipy import linalg
from skimage.metrics import structural_similarity

import srbench
from srbench import metrics
from srbench.errors import DataError, MissingWeights, SrbenchError
from srbench.evaluation.inception import build_network
from srbench.networks.lpips_network import lpips_package

PARTS = ("images", "maps", "features", "colours")


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(3)
    clean = torch.rand(3, 3, 40, 48, generator=generator) * 2 - 1
    return clean + 0.3 * torch.randn(clean.shape, generator=generator), clean


@pytest.fixture
def sets():
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(60, 5, generator=generator)
    return x, 1.5 * torch.randn(80, 5, generator=generator) + 0.4


@pytest.mark.parametrize("part", PARTS)
def test_examples_print_what_they_say(part):
    found = doctest.testmod(import_module(f"srbench.metrics.{part}"))
    assert found.attempted > 5
    assert found.failed == 0


def test_every_function_is_public_documented_and_under_the_package():
    assert srbench.metrics is metrics
    for name in metrics.__all__:
        function = getattr(metrics, name)
        for section in ("Parameters\n", "Returns\n", "Raises\n"):
            assert section in function.__doc__, (name, section)
    assert metrics.__all__ == sorted(metrics.__all__)


def test_psnr_is_that_of_piq(pair):
    restored, clean = ((images.clamp(-1, 1) + 1) / 2 for images in pair)
    wanted = piq.psnr(restored, clean, data_range=1.0, reduction="none")
    assert torch.allclose(metrics.psnr(*pair), wanted.double(), rtol=1e-6)


def test_ssim_is_that_of_scikit_image(pair):
    levels = [((images.clamp(-1, 1) + 1) / 2 * 255).round().byte().permute(0, 2, 3, 1).numpy()
              for images in pair]
    wanted = [structural_similarity(x, y, channel_axis=2, data_range=255)
              for x, y in zip(*levels, strict=True)]
    assert np.allclose(metrics.ssim(*pair), wanted, atol=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_lpips_is_that_of_its_package(pair):
    network = lpips_package().LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    with torch.no_grad():
        wanted = network(*(images.clamp(-1, 1) for images in pair)).flatten()
    found = metrics.lpips(*pair, network=network)
    assert torch.allclose(found, wanted, rtol=1e-4)
    assert float(wanted.min()) > 1e-3
    found += 1  # an ordinary tensor


def test_weights_that_are_missing_are_said(pair):
    with pytest.raises(MissingWeights, match="alexnet") as told:
        metrics.lpips(*pair)
    assert "srbench fetch" in told.value.hint
    with pytest.raises(MissingWeights, match="inception"):
        metrics.inception_features(pair[0])


def test_inception_features_do_not_depend_on_the_batch(pair, monkeypatch):
    monkeypatch.setattr("srbench.metrics.features.BATCH", 2)
    network = build_network(None)
    images = pair[0][:, :, :20, :20]
    whole = metrics.inception_features(images, network)
    assert whole.shape == (3, 2048)
    single = metrics.inception_features(images[2:], network)
    assert torch.allclose(whole[2:], single, atol=1e-4)
    assert not torch.allclose(whole[:1], single, atol=1e-2)


def test_fid_is_the_closed_form(sets):
    x, y = (side.double().numpy() for side in sets)
    c1, c2 = np.cov(x.T), np.cov(y.T)
    wanted = (np.square(x.mean(0) - y.mean(0)).sum()
              + np.trace(c1 + c2 - 2 * linalg.sqrtm(c1 @ c2).real))
    assert metrics.fid(*sets) == pytest.approx(wanted, rel=1e-6)


def test_kid_is_the_sum_over_pairs(sets):
    x, y = (side.double().numpy() for side in sets)
    k = {name: (a @ b.T / 5 + 1) ** 3 for name, a, b in (("x", x, x), ("y", y, y), ("xy", x, y))}
    within = sum((k[n].sum() - np.trace(k[n])) / (len(k[n]) * (len(k[n]) - 1)) for n in "xy")
    assert metrics.kid(*sets) == pytest.approx(within - 2 * k["xy"].mean(), rel=1e-9)


def test_sliced_distance_is_that_of_pot(sets):
    from srbench.evaluation.sliced import unit_directions

    x, y = (side.double().numpy() for side in sets)
    directions = unit_directions(50, 5, 9).double().numpy().T
    wanted = ot.sliced_wasserstein_distance(x, y, projections=directions)
    assert metrics.sliced_w2(*sets, directions=50, seed=9) == pytest.approx(wanted, rel=1e-5)
    assert metrics.mind(sets[0], sets[0] + 1) == pytest.approx(3 * 5 * 1.0, rel=0.1)  # d E<1, u>^2


def test_l2_uvp_and_cosine_by_hand():
    x, y = torch.zeros(2, 2), torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    assert float(metrics.total_variance(y)) == 2
    assert metrics.l2_uvp(x, y, 2.0).tolist() == [200, 200]
    assert metrics.cosine(y, y, x) == 1
    assert metrics.cosine(x, y, x) == 0
    assert metrics.cosine(-y, y, x) == -1
    assert metrics.transport_cost(y, x).tolist() == [2, 2]


def test_palettes_and_spectra_against_numpy(pair):
    restored, clean = pair
    pixels = [((images + 1) / 2).permute(0, 2, 3, 1).reshape(-1, 3).double().numpy()
              for images in pair]
    total = [colours.var(0).sum() for colours in pixels]
    assert metrics.palette_gap(*pair) == pytest.approx(100 * abs(total[0] - total[1]) / total[1])
    gap = np.linalg.norm(pixels[0].mean(0) - pixels[1].mean(0))
    assert metrics.colour_shift(*pair) == pytest.approx(gap, rel=1e-5)
    assert metrics.palette_variance(clean) == pytest.approx(total[1], rel=0.02)
    noise = torch.randn(16, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    # E log of an exponential variable is -0.5772 (Euler's gamma): white noise of variance 1/4
    assert metrics.spectrum(noise)[8:].mean() == pytest.approx(np.log(0.25) - 0.5772, abs=0.02)
    assert metrics.spectrum_gap(restored, clean) > 0


@pytest.mark.parametrize(("call", "words"), [
    (lambda a, v: metrics.psnr(a[0], a[0]), "not (N, C, H, W)"),
    (lambda a, v: metrics.psnr(a, a[:1]), "shapes differ"),
    (lambda a, v: metrics.psnr(a.byte(), a.byte()), "not floats"),
    (lambda a, v: metrics.ssim(a[..., :6], a[..., :6]), "at least 7x7"),
    (lambda a, v: metrics.lpips(a[:, :1], a[:, :1]), "not (N, 3, H, W)"),
    (lambda a, v: metrics.l2_uvp(v, v[:1], 1.0), "shapes differ"),
    (lambda a, v: metrics.l2_uvp(v, v, 0.0), "no variance"),
    (lambda a, v: metrics.cosine(v, v, v[:, :1]), "shapes differ"),
    (lambda a, v: metrics.total_variance(v[0]), "not (N, ...)"),
    (lambda a, v: metrics.transport_cost(a, a, scale=4), "one shape"),
    (lambda a, v: metrics.transport_cost(v, v, scale=0), "at least 1"),
    (lambda a, v: metrics.transport_cost(v, v, scale=2), "(N, C, H, W)"),
    (lambda a, v: metrics.fid(v, v[:, :1]), "2 and 1 features"),
    (lambda a, v: metrics.fid(v[:1], v), "two images a side"),
    (lambda a, v: metrics.kid(a, a), "not (N, d)"),
    (lambda a, v: metrics.mind(v / 0, v), "finite"),
    (lambda a, v: metrics.sliced_w2(v[:0], v), "not (N, d)"),
    (lambda a, v: metrics.inception_features(v), "not (N, C, H, W)"),
    (lambda a, v: metrics.palette_variance(a[:, :2]), "not (N, 3, H, W)"),
    (lambda a, v: metrics.palette_sw2(v, v, v), "not (K, 3)"),
    (lambda a, v: metrics.spectrum(v), "not (N, C, H, W)"),
])
def test_wrong_shapes_are_named(call, words):
    with pytest.raises(DataError) as told:
        call(torch.zeros(2, 3, 8, 8), torch.ones(4, 2))
    assert words in told.value.message


def test_palettes_without_anything_to_miss():
    grey, cloud = torch.zeros(1, 3, 4, 4), torch.rand(5, 3)
    with pytest.raises(SrbenchError, match="nothing to miss"):
        metrics.palette_gap(grey, grey)
    with pytest.raises(SrbenchError, match="palette of the HR"):
        metrics.palette_sw2(cloud, cloud, cloud)
