"""Before each evaluation every metric is tried on cases whose answer is known.

What that is for: arithmetic that is not what it should be (low precision that leaks in, a broken
BLAS) gives numbers that look right. Here results of every operation are a little wrong.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from srbench.api.metric import EvaluationContext, Metric
from srbench.api.problem import Problem
from srbench.errors import SrbenchError
from srbench.evaluation.column import Column
from srbench.evaluation.plugin import srbench_metrics
from srbench.registry.catalog import discover
from srbench.registry.implementation import load_implementation

KINDS = {info.name: load_implementation(info, "srbench:metrics") for info in srbench_metrics()}
NETWORKS = ("fid", "kid", "mind", "patch-fid", "patch-kid", "patch-mind", "lpips")


class Wrong(TorchDispatchMode):
    """Changes the result of every operation on numbers with a point."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self._change = change

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func._schema.is_mutable or any(a.alias_info for a in func._schema.returns):
            return result  # views and updates in place share memory with what was changed already
        return tree_map_only(torch.Tensor, self._wrong, result)

    def _wrong(self, value: torch.Tensor) -> torch.Tensor:
        return self._change(value) if value.is_floating_point() and value.numel() else value


CHANGES = {
    "bfloat16 leaks in": lambda value: value.bfloat16().to(value.dtype),
    "one value of a large result is lost": lambda value: value.where(
        torch.arange(value.numel()).reshape(value.shape) != 3, 0) if value.numel() > 3 else value,
}


@pytest.fixture
def context() -> EvaluationContext:
    shape = (3, 64, 64)
    return EvaluationContext(problem=Problem(domain="image", lr_shape=shape, hr_shape=shape),
                             known_map=True, facts={"hr_variance": 1.0, "test_size": 4},
                             device=torch.device("cpu"))


def check(name: str, context: EvaluationContext) -> None:
    """Let a metric check itself, without the network where it has one."""
    kind: Any = KINDS[name]
    metric = object.__new__(kind) if name in NETWORKS else kind(context)
    metric.context = context
    metric.self_check()


@pytest.mark.parametrize("name", [name for name in KINDS if name != "lpips"])
def test_every_metric_has_known_answers_and_gives_them(name, context):
    assert KINDS[name].self_check is not Metric.self_check
    check(name, context)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", [name for name in KINDS if name != "lpips"])
def test_wrong_arithmetic_is_noticed(name, change, context):
    # Some notice it by themselves before the answer is compared.
    noticed = pytest.raises((SrbenchError, IndexError), match=r"self check failed|finite|bounds")
    with Wrong(CHANGES[change]), noticed:
        check(name, context)


def test_a_metric_that_fails_its_check_has_no_number_and_the_others_have(context, monkeypatch):
    monkeypatch.setattr("srbench.evaluation.psnr.psnr", lambda x, y: torch.full((len(x),), 30.0))
    catalog, x = discover([]), torch.rand(4, 3, 64, 64) * 2 - 1
    found = {}
    for name in ("psnr", "ssim", "l2-uvp"):
        column = Column(catalog.metric(name), context)
        column.update(x, x, x)
        found[name] = column.finish()
    assert found["psnr"].value is None
    assert found["psnr"].unavailable.startswith("self check failed: PSNR(x, x) gives 30.0")
    assert found["psnr"].remedy == "srbench doctor"
    assert found["ssim"].value == pytest.approx(1)
    assert found["l2-uvp"].value == 0


def test_the_checks_of_a_cell_take_little_time(context):
    names = [name for name in KINDS if name != "lpips"]
    seconds = []
    for _ in range(3):
        started = time.process_time()
        for name in names:
            check(name, context)
        seconds.append(time.process_time() - started)
    assert min(seconds) < 0.5
