"""Time of the evaluation against the reference packages, with their values compared.

Run ``python benchmarks/evaluation.py``; add ``--inception 32`` to time Inception features too.
The references are called as the paper's released evaluation calls them: image by image, LPIPS with
autograd on. LPIPS uses the real weights where they are on this machine, else random ones: its time
and the equality of values do not depend on them.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import lpips as lpips_package
import numpy as np
import piq
import torch
from scipy import linalg
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from srbench import weights
from srbench.api.metric import EvaluationContext, Metric
from srbench.api.problem import Problem
from srbench.errors import MissingWeights
from srbench.evaluation.frechet import frechet_distance, frechet_of_few
from srbench.evaluation.inception import build_network
from srbench.evaluation.lpips_alex import LPIPS, PROTOCOL
from srbench.evaluation.lpips_alex import build_network as build_lpips
from srbench.evaluation.psnr import PSNR
from srbench.evaluation.ssim import SSIM, to_uint8_levels

BATCH = 64
FEATURES = 2048


@dataclass(frozen=True)
class Row:
    """One comparison: seconds of the reference and of ours, and how far the values are apart."""

    name: str
    reference: float
    ours: float
    gap: float

    def __str__(self) -> str:
        ratio = self.reference / self.ours
        return (f"| {self.name} | {self.reference:.2f} | {self.ours:.2f} | {ratio:.1f} "
                f"| {self.gap:.1e} |")


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result of a call."""
    started = time.perf_counter()
    result = action()
    return time.perf_counter() - started, result


def test_images(count: int, size: int) -> tuple[Tensor, Tensor]:
    """Smooth random images with edges as HR, and noisy ones as predictions."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, size // 8, size // 8, generator=generator)
    hr = nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    hr = (hr * 0.7 + (hr.roll(1, 0) > 0.5) * 0.3).mul(255).round() / 127.5 - 1
    return hr + 0.1 * torch.randn(hr.shape, generator=generator), hr


def run_metric(kind: type[Metric], context: EvaluationContext, x: Tensor, y: Tensor) -> list[float]:
    """Feed a metric in batches and return its value for each image."""
    metric = kind(context)
    for a, b in zip(torch.split(x, BATCH), torch.split(y, BATCH), strict=True):
        metric.update(a, b, b)
    return metric.compute().per_image or []


def psnr_reference(x: Tensor, y: Tensor) -> list[float]:
    """Call piq image by image."""
    pairs = (((a.clamp(-1, 1) + 1) / 2, (b + 1) / 2) for a, b in zip(x, y, strict=True))
    return [float(piq.psnr(a[None], b[None])) for a, b in pairs]


def ssim_reference(x: Tensor, y: Tensor) -> list[float]:
    """Call scikit-image image by image."""
    values = []
    for a, b in zip(x, y, strict=True):
        first, second = (to_uint8_levels(t).byte().permute(1, 2, 0).numpy() for t in (a, b))
        values.append(float(structural_similarity(first, second, channel_axis=2)))
    return values


def alexnet_features() -> dict[str, Tensor]:
    """AlexNet features from this machine, or random ones."""
    try:
        return weights.load("alexnet")
    except MissingWeights:
        generator = torch.Generator().manual_seed(0)
        shapes = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3),
                  10: (256, 256, 3)}
        state = {}
        for index, (out, fan_in, side) in shapes.items():
            kernel = torch.randn(out, fan_in, side, side, generator=generator)
            state[f"features.{index}.weight"] = kernel * (2 / (fan_in * side * side)) ** 0.5
            state[f"features.{index}.bias"] = torch.zeros(out)
        return state


def pixel_rows(x: Tensor, y: Tensor) -> list[Row]:
    """Compare PSNR, SSIM and LPIPS; the last row is a second pass over the same targets."""
    context = EvaluationContext(
        problem=Problem(domain="image", lr_shape=tuple(x.shape[1:]), hr_shape=tuple(x.shape[1:])),
        known_map=False, facts={}, device=torch.device("cpu"), fingerprint="benchmark")
    features = alexnet_features()
    context.store[PROTOCOL] = build_lpips(features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package: Any = lpips_package.LPIPS(net="alex", pnet_rand=True, verbose=False)
    package.net.load_state_dict(build_lpips(features).net.state_dict())

    def lpips_reference(x: Tensor, y: Tensor) -> list[float]:
        pairs = zip(x, y, strict=True)
        return [package(a[None].clamp(-1, 1), b[None]).item() for a, b in pairs]

    rows = []
    plan = (("PSNR", PSNR, psnr_reference, 1e-4), ("SSIM", SSIM, ssim_reference, 1e-6),
            ("LPIPS", LPIPS, lpips_reference, 1e-5))
    for name, kind, reference, tolerance in plan:
        warm = replace(context, fingerprint="warm", store=dict(context.store))
        run_metric(kind, warm, x[:BATCH], y[:BATCH]), reference(x[:4], y[:4])
        slow, wanted = timed(lambda f=reference: f(x, y))
        fast, found = timed(lambda k=kind: run_metric(k, context, x, y))
        gap = float(np.abs(np.subtract(found, wanted)).max())
        assert gap <= tolerance, f"{name} differs from its reference by {gap}"
        rows.append(Row(name, slow, fast, gap))
    again, found = timed(lambda: run_metric(LPIPS, context, x, y))
    rows.append(Row("LPIPS, later passes", slow, again,
                    float(np.abs(np.subtract(found, wanted)).max())))
    return rows


def by_sqrtm(m1: Any, c1: Any, m2: Any, c2: Any) -> float:
    """Compute the Fréchet distance as pytorch-fid does."""
    root = linalg.sqrtm(c1 @ c2)
    return float(np.square(m1 - m2).sum() + np.trace(c1 + c2 - 2 * root.real))


def frechet_rows() -> list[Row]:
    """Compare the Fréchet distance of 2048 features, with more and with fewer images than those."""
    rng = np.random.default_rng(0)
    scales = np.exp(-np.arange(FEATURES) / 200)
    rows = []
    for count in (5000, 1000):
        x, y = (rng.normal(size=(count, FEATURES)) * scales for _ in range(2))
        stats = x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False)
        slow, wanted = timed(lambda s=stats: by_sqrtm(*s))
        if count > FEATURES:
            fast, found = timed(lambda s=stats: frechet_distance(*s))
        else:
            fast, found = timed(lambda a=x, b=y: frechet_of_few(a, b))
        gap = abs(found.distance - wanted) / wanted
        assert gap <= (1e-6 if count > FEATURES else 1e-3), f"{count} images: {gap}"
        rows.append(Row(f"Fréchet, {count} images", slow, fast, gap))
    return rows


def inception_row(count: int) -> Row:
    """Compare Inception features with random weights: image layout as pytorch-fid's, and ours."""
    ours, theirs = build_network(None), build_network(None)
    theirs = theirs.to(memory_format=torch.contiguous_format)
    images = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours(images[:2]), theirs(images[:2])
        slow, wanted = timed(lambda: theirs(images)[0])
        last = images.contiguous(memory_format=torch.channels_last)
        fast, found = timed(lambda: ours(last)[0])
    gap = float((found - wanted).abs().max() / wanted.abs().max())
    return Row(f"Inception features, {count} images", slow, fast, gap)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--inception", type=int, default=0, metavar="N")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = pixel_rows(*test_images(options.images, options.size))
    print(f"{options.images} images of {options.size} pixels, {options.threads} threads\n")
    print("| what | reference s | srbench s | ratio | largest difference |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(row)
    first = rows[:3]
    total = Row("all three, first pass", sum(row.reference for row in first),
                sum(row.ours for row in first), max(row.gap for row in first))
    print(total)
    later = rows[3].ours - rows[2].ours
    print(Row("all three, a cell (final and oracle)", 2 * total.reference, 2 * total.ours + later,
              total.gap))
    for row in frechet_rows():
        print(row)
    if options.inception:
        print(inception_row(options.inception))


if __name__ == "__main__":
    main()
