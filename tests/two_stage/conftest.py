"""Settings of the tests that train small networks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.methods.backbones import backbones, kept, narrow, narrow_vgg, put

__all__ = ["backbones", "kept", "narrow", "narrow_vgg", "put"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Train on one thread: networks this small are slower on more, much slower on busy ones."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
