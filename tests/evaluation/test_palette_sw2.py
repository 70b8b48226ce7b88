"""Distance between palettes, and the pixels that are kept for pictures."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from srbench.errors import SrbenchError
from srbench.evaluation import palette_sw2
from srbench.evaluation.evaluate import evaluate
from srbench.evaluation.palette_sw2 import (
    DIRECTIONS,
    LEAST,
    MOST,
    POOL,
    SEED,
    UNKNOWN,
    PaletteSW2,
    palette_ratio,
    pixels_per_image,
)
from srbench.evaluation.pixels import SHOWN, Palettes, colours_at, places
from srbench.evaluation.sliced import unit_directions
from srbench.results.artefacts import PALETTES, keep_evaluation

CPU = torch.device("cpu")


def noise(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def score(context, prediction, y, x, size=5):
    metric = PaletteSW2(context)
    for part in zip(prediction.split(size), y.split(size), x.split(size), strict=True):
        metric.update(*part)
    return metric.compute()


# drawn pixels

def test_colours_are_those_at_their_places():
    images = noise(0, 3, 3, 7, 5)
    where = places(40, torch.Generator().manual_seed(0)).expand(3, 40, 2)
    found = colours_at(images, where)
    assert found.shape == (3, 40, 3)
    for k in range(40):
        row, column = int(where[0, k, 0] * 7), int(where[0, k, 1] * 5)
        torch.testing.assert_close(found[:, k], (images[:, :, row, column] + 1) / 2)


def test_a_place_is_the_same_place_at_any_scale():
    lr = noise(1, 2, 3, 9, 6)
    hr = nn.functional.interpolate(lr, scale_factor=4)  # each LR pixel is 16 HR pixels
    where = places(500, torch.Generator().manual_seed(1)).expand(2, 500, 2)
    assert torch.equal(colours_at(hr, where), colours_at(lr, where))


def test_the_last_place_is_inside():
    edge = torch.tensor([[[np.nextafter(1, 0), np.nextafter(1, 0)]]])
    image = torch.zeros(1, 3, 1000, 3)
    image[..., -1, -1] = 1
    assert torch.equal(colours_at(image, edge), torch.ones(1, 1, 3))


# the distance

def test_hr_itself_is_0_and_lr_itself_1(context, pairs):
    x, y = pairs.lr, pairs.hr
    assert score(context, y, y, x).value == 0
    assert score(context, x, y, x).value == 1
    assert score(context, x, y, x).reference == {"lr": 1.0}


def test_a_shift_has_a_closed_form(context):
    """SW2 of a cloud shifted by c is sqrt(mean (theta.c)^2), so the ratio is that of the shifts."""
    y = noise(2, 24, 3, 16, 16)
    shift = torch.tensor([0.2, -0.1, 0.4])[:, None, None]
    found = score(context, y + 0.25 * shift, y, y - shift)
    assert found.value == pytest.approx(0.25, rel=1e-4)
    theta = unit_directions(DIRECTIONS, 3, SEED).double()
    wanted = (theta @ (shift[:, 0, 0].double() / 2)).square().mean().sqrt()
    assert found.detail["sw2_lr"] == pytest.approx(float(wanted), rel=1e-4)
    assert found.detail["pixels"] == 24 * MOST


def test_gaussian_colours_have_a_closed_form(context):
    """Between N(m, s1^2 I) and N(m, s2^2 I) SW2 is |s1 - s2|."""
    generator = torch.Generator().manual_seed(3)
    z = [torch.randn(24, 3, 64, 64, generator=generator) for _ in range(3)]
    found = score(context, 2 * 0.20 * z[0], 2 * 0.15 * z[1], 2 * 0.05 * z[2])
    assert found.detail["sw2_prediction"] == pytest.approx(0.05, rel=0.05)
    assert found.detail["sw2_lr"] == pytest.approx(0.10, rel=0.05)
    assert found.value == pytest.approx(0.5, rel=0.07)


def test_it_sees_a_palette_that_has_the_right_variance_and_the_wrong_colours(context):
    """Swapping channels keeps every variance, so the palette gap is 0; this distance is not."""
    y = noise(4, 24, 3, 16, 16) * torch.tensor([1.0, 0.5, 0.1])[:, None, None]
    assert score(context, y.flip(1), y, 0 * y).value > 0.2


def test_clouds_are_compared_not_pixels(context):
    y = noise(5, 24, 3, 32, 32)
    shuffled = y.flatten(2)[:, :, torch.randperm(1024, generator=torch.Generator().manual_seed(0))]
    assert score(context, shuffled.reshape(y.shape), y, 0.5 * y).value < 0.05


@pytest.mark.parametrize("size", [24, 7, 1])
def test_batches_do_not_matter(context, pairs, size):
    found = score(context, 0.7 * pairs.hr, pairs.hr, pairs.lr, size)
    assert found.value == score(context, 0.7 * pairs.hr, pairs.hr, pairs.lr, 5).value
    assert found.count == 24


def test_images_of_different_sizes_at_a_scale(context, photographs):
    dataset = photographs()
    metric = PaletteSW2(replace(context, problem=dataset.problem, facts=dataset.facts()))
    for x, y in dataset.test_batches(1):
        metric.update(nn.functional.interpolate(x, scale_factor=4), y, x)
    assert metric.compute().value == 1  # the colours of LR at four times its size


def test_the_pool_is_bounded():
    assert pixels_per_image(100) == POOL // 100
    assert pixels_per_image(4096) * 4096 == POOL
    assert pixels_per_image(8) == MOST
    assert pixels_per_image(10**6) == LEAST
    assert pixels_per_image(0) == UNKNOWN


def test_equal_palettes_of_lr_and_hr_are_said(context, pairs):
    with pytest.raises(SrbenchError, match=r"SW2\(LR, HR\) is 0"):
        score(context, pairs.lr, pairs.hr, pairs.hr)
    with pytest.raises(SrbenchError, match="is 0"):
        palette_ratio(1.0, 0.0)
    with pytest.raises(SrbenchError, match="before any image"):
        PaletteSW2(context).compute()


def test_the_self_check_notices_a_distance_that_is_none(context, monkeypatch):
    PaletteSW2(context).self_check()
    monkeypatch.setattr(palette_sw2, "sliced_w2",
                        lambda x, y, theta: float((x - y).square().mean()))
    with pytest.raises(SrbenchError, match="SW2 of a shifted palette"):
        PaletteSW2(context).self_check()


# palettes for pictures

def test_palettes_are_of_the_same_places_whatever_the_method_and_the_batches(pairs, make_method):
    found = [evaluate(make_method(pairs.problem, function), pairs, {}, device=CPU, batch_size=size)
             for function, size in ((lambda x: x, 24), (lambda x: 0.5 * x + 3, 5))]
    first, second = (evaluation.palettes for evaluation in found)
    assert {kind: (tuple(rows.shape), rows.dtype) for kind, rows in first.items()} == {
        kind: ((SHOWN, 3), torch.float32) for kind in ("lr", "prediction", "hr")}
    assert torch.equal(first["hr"], second["hr"])
    assert torch.equal(first["lr"], second["lr"])
    assert torch.equal(first["prediction"], first["lr"])
    torch.testing.assert_close(second["prediction"], 0.5 * first["lr"] + 1.75, rtol=0, atol=1e-5)
    assert float(second["prediction"].min()) > 1  # not clamped


def test_every_image_has_the_same_share_of_a_palette():
    """Image k is k/100 in all its pixels; sizes differ, which must not matter."""
    palettes = Palettes()
    for k in range(50):
        image = torch.full((1, 3, 4 + k, 9), k / 50 - 1)
        palettes.update({"lr": image, "prediction": image, "hr": image})
    counts = np.unique(palettes.colours()["hr"][:, 0].numpy(), return_counts=True)[1]
    assert len(counts) == 50
    assert abs(counts - SHOWN / 50).max() < 5 * (SHOWN / 50) ** 0.5


def test_places_of_a_palette_are_spread_over_an_image():
    rows = torch.linspace(-1, 1, 64)[None, None, :, None].expand(1, 3, 64, 64)
    palettes = Palettes()
    palettes.update({"lr": rows, "prediction": rows, "hr": rows})
    drawn = palettes.colours()["hr"][:, 0].double().numpy()
    assert drawn.mean() == pytest.approx(0.5, abs=0.05)
    assert drawn.std() == pytest.approx(12**-0.5, rel=0.1)


def test_palettes_of_photographs(photographs, make_method):
    dataset = photographs()
    method = make_method(dataset.problem, lambda x: nn.functional.interpolate(x, scale_factor=4))
    found = evaluate(method, dataset, {}, device=CPU).palettes
    torch.testing.assert_close(found["prediction"], found["lr"])
    colours = torch.cat([(y[0].flatten(1).T + 1) / 2 for y in dataset.hr]).numpy()
    drawn = found["hr"].numpy()
    assert {tuple(row) for row in drawn[:50]} <= {tuple(row) for row in colours}


def test_there_is_no_palette_of_vectors_or_of_a_broken_output(pairs, make_method, make_dataset):
    broken = make_method(pairs.problem, lambda x: x * torch.nan)
    assert evaluate(broken, pairs, {}, device=CPU).palettes == {}
    vectors = make_dataset(torch.randn(20, 3), torch.randn(20, 3))
    found = evaluate(make_method(vectors.problem, lambda x: x), vectors, {}, device=CPU)
    assert found.palettes == {}
    assert Palettes().colours() == {}


def test_palettes_are_written_beside_the_record(tmp_path, pairs, make_method):
    found = evaluate(make_method(pairs.problem, lambda x: 2 * x), pairs, {}, device=CPU)
    keep_evaluation(tmp_path, found)
    table = pd.read_parquet(tmp_path / PALETTES)
    assert list(table.columns) == ["kind", "r", "g", "b"]
    assert {str(table[name].dtype) for name in "rgb"} == {"float32"}
    for kind, rows in found.palettes.items():
        np.testing.assert_array_equal(table[table["kind"] == kind][["r", "g", "b"]], rows)
    assert len(table) == 3 * SHOWN


def test_no_palette_no_file(tmp_path):
    keep_evaluation(tmp_path, SimpleNamespace(samples={}, palettes={}, per_image={}))
    assert list(tmp_path.iterdir()) == []
