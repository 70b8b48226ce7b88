"""Distances between two sets of images, from features of them.

Legend: d = number of features; n, m = images of the one and of the other set.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch

from srbench.errors import DataError
from srbench.evaluation import frechet, inception, sliced
from srbench.evaluation import kid as _kid
from srbench.evaluation import mind as _mind
from srbench.evaluation.reducers import shards
from srbench.metrics.shapes import colours, floats

if TYPE_CHECKING:
    from torch import Tensor, nn

BATCH = 64


def fid(restored: Tensor, clean: Tensor) -> float:
    """Fréchet distance between Gaussians fitted to two sets of features (FID of Inception's).

    Parameters
    ----------
    restored, clean : Tensor
        Features, shape (n, d) and (m, d), n and m at least 2; `inception_features` makes those of
        FID.

    Returns
    -------
    float
        At least 0 but for rounding. Lower is better. Biased upwards by about 1/n: values of
        different numbers of images do not compare.

    Raises
    ------
    DataError
        If the widths differ, a set has fewer than two rows, or a value is not finite.

    References
    ----------
    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", 2017.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[0.0], [1.0], [2.0]])
    >>> round(fid(x + 3, x), 6)  # equal covariances: the squared gap between means
    9.0
    """
    _widths(restored, clean)
    return frechet.frechet_of_features([restored.cpu()], [clean.cpu()]).distance


def kid(restored: Tensor, clean: Tensor) -> float:
    """Unbiased squared MMD with the kernel ``(x . y / d + 1)^3`` over all pairs.

    Parameters
    ----------
    restored, clean : Tensor
        Features, shape (n, d) and (m, d), n and m at least 2.

    Returns
    -------
    float
        0 in expectation where both sets come from one distribution, so it may be negative. Lower
        is better.

    Raises
    ------
    DataError
        If the widths differ or a set has fewer than two rows.

    References
    ----------
    Binkowski et al., "Demystifying MMD GANs", 2018.

    Examples
    --------
    >>> import torch
    >>> kid(torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [3.0]]))  # 27 + 1 - 2 * 409 / 4
    -176.5
    """
    _widths(restored, clean)
    return _kid.squared_mmd([restored], [clean])


def mind(restored: Tensor, clean: Tensor) -> float:
    """``3 d SW2^2`` over 1000 fixed directions (Monge Inception distance of Inception features).

    Parameters
    ----------
    restored, clean : Tensor
        Features, shape (n, d) and (m, d).

    Returns
    -------
    float
        At least 0 (equal sets). Lower is better.

    Raises
    ------
    DataError
        If the widths differ or a value is not finite.

    References
    ----------
    Berthet et al., 2026; see docs/protocols.md.

    Examples
    --------
    >>> import torch
    >>> mind(torch.ones(4, 2), torch.ones(9, 2))
    0.0
    """
    _widths(restored, clean)
    directions = _mind.mind_directions(restored.shape[1]).T.to(restored)
    return _mind.mind(restored @ directions, clean.to(restored) @ directions, restored.shape[1])


def sliced_w2(x: Tensor, y: Tensor, directions: int = 1000, seed: int = 0) -> float:
    """Sliced Wasserstein-2 distance over random unit directions, exact along each.

    Parameters
    ----------
    x, y : Tensor
        Samples, shape (n, d) and (m, d); n and m may differ.
    directions : int
        How many.
    seed : int
        Which; the same for one seed on every machine.

    Returns
    -------
    float
        At least 0 (equal sets): the distance, not its square.

    Raises
    ------
    DataError
        If the widths differ, a side is empty, or a value is not finite.

    References
    ----------
    Bonneel et al., "Sliced and Radon Wasserstein Barycenters of Measures", 2015.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[0.0], [1.0]])
    >>> sliced_w2(x + 2, x)
    2.0
    """
    _widths(x, y)
    return sliced.sliced_w2(x, y, sliced.unit_directions(directions, x.shape[1], seed))


def inception_features(images: Tensor, network: nn.Module | None = None) -> Tensor:
    """Features of the Inception network of pytorch-fid, of which FID, KID and MIND are made.

    Parameters
    ----------
    images : Tensor
        Shape (N, 3, H, W), nominal range [-1, 1], not clamped; resized to 299 pixels bilinearly,
        without antialiasing, so they should be of one size below.
    network : Module, optional
        As `srbench.evaluation.inception.build_network` makes it, on the device of the images; by
        default that of this machine's weights.

    Returns
    -------
    Tensor
        Shape (N, 2048), float32, on the CPU.

    Raises
    ------
    DataError
        If they are no RGB images.
    MissingWeights
        If the weights are not on this machine; the hint is the command that gets them.
    """
    colours("images", images)
    features = inception.InceptionFeatures((network or _inception()).to(images.device), "", "")
    return torch.cat([features.of(part) for part in shards(images.float(), BATCH)]).clone()


@cache
def _inception() -> nn.Module:
    from srbench import weights

    return inception.build_network(weights.load("inception"))


def _widths(first: Tensor, second: Tensor) -> None:
    floats("the first set", first, 2)
    floats("the second set", second, 2)
    if first.shape[1] != second.shape[1]:
        raise DataError(f"the sets have {first.shape[1]} and {second.shape[1]} features")
