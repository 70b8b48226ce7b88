"""Maps whose score is known or in closed form: identity, constant and linear.

Legend: m1, C1 and m2, C2 = mean and covariance of P and of Q; W x + b = the affine map.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from srbench import Field, Method, Parameters, Skipped
from srbench.errors import DataError, ParameterError
from srbench.evaluation.moments import affine_transport

if TYPE_CHECKING:
    from srbench import Training

LARGEST = 4096  # values of one sample up to which a dense covariance is formed
PER_DIMENSION = 8  # samples for each value of an image, where no number is given
VECTOR_SAMPLES = 2**16
ENOUGH = 4  # samples for each dimension below which a covariance means little


class Identity(Method):
    """T(x) = x; learns nothing."""

    distributed = True

    def build(self) -> None:
        """Check that input and output have one shape.

        Raises
        ------
        Skipped
            If they do not.
        """
        require_same_size("identity", self)

    def fit(self, training: Training) -> None:
        """Return at once."""

    def forward(self, lr: Tensor) -> Tensor:
        """Return ``lr``."""
        return lr


class Constant(Method):
    """T(x) = mean of Q, estimated from HR samples of the training.

    At scales above 1 images differ in size, and the constant is one colour.
    """

    class Params(Parameters):
        """Settings.

        Attributes
        ----------
        samples : int
            HR samples the mean is taken of; the Wasserstein-2 benchmark takes 2^14.
        batch_size : int
            Samples drawn at a time.
        """

        samples: int = Field(2**14, ge=1)
        batch_size: int = Field(1024, ge=1)

    params: Params

    def build(self) -> None:
        """Reserve the constant."""
        shape = self.problem.hr_shape
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros((3, 1, 1) if self.problem.scale > 1 else shape))

    def fit(self, training: Training) -> None:
        """Average HR samples."""
        moments = training.track(moments=RunningMoments(self.problem.dim).to(self.mean.device))
        chunks, n = even_chunks(self.params.samples, self.params.batch_size)
        for _ in training.steps(chunks):
            moments.add(training.hr(n))
        mean = moments.mean().view(self.problem.hr_shape)
        if self.problem.scale > 1:
            mean = mean.mean((1, 2), keepdim=True)
        self.mean.copy_(mean)

    def forward(self, lr: Tensor) -> Tensor:
        """Return the constant, (N, 3, s*h, s*w) or (N, d), for every sample of ``lr``."""
        if self.problem.scale == 1:
            return self.mean.expand(len(lr), *self.problem.hr_shape)
        sides = [side * self.problem.scale for side in lr.shape[-2:]]
        return self.mean.expand(len(lr), 3, *sides)


class Linear(Method):
    """T(x) = W x + b, the optimal transport map between N(m1, C1) and N(m2, C2).

    The moments are those of training samples, without shrinkage, in float64. This is the
    baseline L of the Wasserstein-2 benchmark.
    """

    class Params(Parameters):
        """Settings.

        Attributes
        ----------
        samples : int
            Samples of each of P and Q; 0 takes 65,536 for vectors and eight for each value of an
            image.
        batch_size : int
            Samples drawn at a time.
        """

        samples: int = Field(0, ge=0)
        batch_size: int = Field(1024, ge=1)

    params: Params

    def build(self) -> None:
        """Reserve W and b.

        Raises
        ------
        Skipped
            If input and output differ in shape, or a sample has more than 4096 values.
        ParameterError
            If there are fewer than four samples for each dimension.
        """
        require_same_size("linear", self)
        dim = self.problem.dim
        if dim > LARGEST:
            raise Skipped(
                f"linear needs a covariance of {dim} x {dim} values; samples have {dim} values "
                f"each and at most {LARGEST} are allowed"
            )
        automatic = PER_DIMENSION * dim if self.problem.is_image else VECTOR_SAMPLES
        self.samples = self.params.samples or automatic
        if self.samples < ENOUGH * dim:
            raise ParameterError(
                f"samples={self.samples} are too few for a covariance in {dim} dimensions",
                hint=f"give samples={ENOUGH * dim} or more, or leave it out",
            )
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", torch.eye(dim, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros(dim, dtype=torch.float64))

    def fit(self, training: Training) -> None:
        """Estimate both measures' moments and put the map between them together.

        Raises
        ------
        DataError
            If a budget ended the draws before there were four for each dimension.
        """
        dim, device = self.problem.dim, self.weight.device
        source, target = (RunningMoments(dim, order=2).to(device) for _ in range(2))
        training.track(source=source, target=target)
        chunks, n = even_chunks(self.samples, self.params.batch_size)
        for _ in training.steps(chunks):
            source.add(training.lr(n))
            target.add(training.hr(n))
        if source.count < ENOUGH * dim:
            raise DataError(
                f"the budget ended after {int(source.count)} samples, too few for a covariance in "
                f"{dim} dimensions",
                hint=f"allow {chunks} steps, or raise batch_size",
            )
        moments = (source.mean(), source.covariance(), target.mean(), target.covariance())
        weight, bias = affine_transport(*moments)
        self.weight.copy_(weight)
        self.bias.copy_(bias)

    def forward(self, lr: Tensor) -> Tensor:
        """Return W x + b in the shape and type of ``lr``; computed in float64."""
        mapped = torch.addmm(self.bias, lr.flatten(1).double(), self.weight.T)
        return mapped.view(lr.shape).to(lr.dtype)


class RunningMoments(nn.Module):
    """Mean and covariance of samples that come in chunks, in float64; survives a resume.

    Parameters
    ----------
    dim : int
        Values of one sample, flattened.
    order : {1, 2}
        2 keeps what the covariance needs as well as what the mean does.
    """

    count: Tensor
    total: Tensor
    outer: Tensor

    def __init__(self, dim: int, order: int = 1) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("total", torch.zeros(dim, dtype=torch.float64))
        if order == 2:
            self.register_buffer("outer", torch.zeros(dim, dim, dtype=torch.float64))

    @torch.no_grad()
    def add(self, samples: Tensor) -> None:
        """Take one chunk, ``(N, ...)``."""
        rows = samples.flatten(1).double()
        self.count += len(rows)
        self.total += rows.sum(0)
        if hasattr(self, "outer"):
            self.outer.addmm_(rows.T, rows)

    def mean(self) -> Tensor:
        """Mean, shape (dim,)."""
        return self.total / self.count

    def covariance(self) -> Tensor:
        """Covariance with divisor N - 1, shape (dim, dim)."""
        mean = self.mean()
        return (self.outer - self.count * torch.outer(mean, mean)) / (self.count - 1)


def even_chunks(total: int, largest: int) -> tuple[int, int]:
    """Return number and size of equal chunks that hold ``total`` draws, or a few more.

    Equal ones, so that a resumed run needs to know nothing but how many are left.
    """
    chunks = math.ceil(total / largest)
    return chunks, math.ceil(total / chunks)


def require_same_size(name: str, method: Method) -> None:
    """Raise `Skipped` where low and high resolution differ in shape."""
    problem = method.problem
    if problem.scale != 1 or problem.lr_shape != problem.hr_shape:
        raise Skipped(f"{name} keeps the size of its input, and the scale is {problem.scale}")
