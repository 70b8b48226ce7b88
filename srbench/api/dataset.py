"""The contract of a dataset."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from srbench.api.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from torch import Tensor

    from srbench.api.problem import Problem


class Dataset(ABC):
    """P and Q to draw from, and held-out pairs to evaluate on.

    The constructor must be cheap: it checks that the data is there and fixes `problem`, `source`
    and the fingerprint. `prepare` does what takes long, on the device where samples are drawn.

    Parameters
    ----------
    params : Parameters
        Resolved parameters, an instance of the class's own ``Params``.
    name : str
        The name it was asked for by, e.g. ``"w2-early"``.

    Attributes
    ----------
    params, name
        As given.
    problem : Problem
        Shapes and domain; set by the subclass's constructor.
    source : str
        Where the data comes from, e.g. ``"official"`` or ``"embedded"``. An embedded stand-in is
        shown as ``name@embedded`` everywhere.
    known_map : bool
        Whether `test_batches` yields the true map's values, so that L2-UVP and cosine apply.
    has_validation : bool
        Whether there are validation pairs; without them there are no validation curves and no
        choice by ground truth.
    """

    Params: ClassVar[type[Parameters]] = Parameters
    problem: Problem
    source: str = ""
    known_map: bool = False
    has_validation: bool = True

    def __init__(self, params: Parameters, name: str) -> None:
        self.params = params
        self.name = name

    @property
    def title(self) -> str:
        """Name on boards and in records; says when the data is a stand-in."""
        return f"{self.name}@embedded" if self.source == "embedded" else self.name

    @property
    def notice(self) -> str:
        """A sentence users must read before they trust numbers on this data, or empty."""
        return ""

    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that defines P, Q and the test pairs."""

    def prepare(self, device: torch.device) -> None:
        """Load what sampling needs onto ``device``. Called once, before the first draw."""

    @abstractmethod
    def sample_lr(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` samples of P with ``generator`` (on the prepared device)."""

    @abstractmethod
    def sample_hr(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` samples of Q with ``generator``, independent of `sample_lr`."""

    @property
    def pool(self) -> PoolSettings | None:
        """How training draws are cached on the device; None draws every batch afresh."""
        return None

    @abstractmethod
    def test_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (LR, HR) pairs, always the same ones in the same order, on the prepared device."""

    @abstractmethod
    def validation_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (LR, HR) pairs disjoint from `test_batches`, for curves and the oracle."""

    def facts(self) -> dict[str, Any]:
        """Numbers that evaluation and the record need; JSON data.

        Known keys: ``hr_variance`` (total variance of Q, the denominator of L2-UVP),
        ``transport_cost`` (1/2 E||x - y||^2 of the true map), ``test_size``, ``test_scenes`` (the
        scene of each test image as a whole number, in test order, where several images show one:
        intervals then count scenes and not images).
        """
        return {}


class CropDataset(Dataset):
    """Photographs of different sizes, of which training draws random crops (domain ``"sr"``).

    ``test_batches`` yields whole photographs, batches of one where sizes differ.
    """

    @abstractmethod
    def sample_lr(self, n: int, generator: torch.Generator, size: int | None = None) -> Tensor:
        """Draw ``n`` crops of P, (n, 3, size, size); ``problem.lr_shape`` where no size is given.

        Raises
        ------
        DataError
            If ``size`` is larger than ``problem.lr_extent``.
        """

    @abstractmethod
    def sample_hr(self, n: int, generator: torch.Generator, size: int | None = None) -> Tensor:
        """Draw ``n`` crops of Q, independent of `sample_lr`; as there."""

    @abstractmethod
    def train_images(self, role: Literal["lr", "hr"]) -> Sequence[Tensor]:
        """Whole training images of a role, (3, h, w) uint8 RGB on the CPU, read when asked for.

        The two roles show different scenes: no pair of images is aligned.
        """

    @property
    def patch_count(self) -> int:
        """Number of patches `test_patches` yields; 0 where there are none."""
        return 0

    def patch_scenes(self) -> tuple[Sequence[int], Sequence[int]] | None:
        """Photograph each LR patch and each HR patch of `test_patches` is cut from.

        Numbers of test photographs, in the order of the patches; an LR and an HR photograph of one
        scene have one number. None where it is not known: patch metrics then have no interval.
        """
        return None

    def test_patches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield LR patches and HR patches of the test images, cut independently of each other.

        (N, 3, p, p) and (N, 3, s*p, s*p), always the same ones in the same order, on the prepared
        device: what the patch metrics compare after each LR patch was restored on its own.
        """
        return iter(())


class PoolSettings:
    """Size and refresh of the sample pool a training draws from.

    Parameters
    ----------
    size : int
        Samples of each of P and Q kept on the device.
    block : int
        Samples generated at a time.
    refresh_every : int
        After this many drawn batches one block is replaced by fresh samples; 0 never refreshes.
    """

    __slots__ = ("block", "refresh_every", "size")

    def __init__(self, *, size: int, block: int, refresh_every: int) -> None:
        if size < 1 or block < 1 or size % block:
            raise ValueError(f"pool size {size} must be a positive multiple of the block {block}")
        if refresh_every < 0:
            raise ValueError(f"refresh_every={refresh_every} must not be negative")
        self.size, self.block, self.refresh_every = size, block, refresh_every
