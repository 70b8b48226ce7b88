"""DenseICNN against the original implementation, autograd and the meaning of convexity."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch

from srbench.networks import DenseICNN, load_strict, read_checkpoint
from tests.fill import fill, load_fixture

# f, norm of the gradient and its first components at x_i = sin(i + 1), i = 0..d-1
GOLDEN = {
    (2, 1): (1.01529, 0.62631, [0.62535, -0.03468]),
    (2, 2): (1.34152, 0.82638, [0.79880, 0.21172]),
    (16, 1): (60.47131, 6.21593, [2.09263, -0.35310, 2.14792]),
    (16, 2): (66.06299, 2.23848, [0.45562, 0.68473, 0.88172]),
    (64, 1): (41.6546, 12.59349, [2.08237, -0.37549, 1.13823]),
    (64, 2): (37.22531, 8.92202, [0.94284, -0.90046, 0.61338]),
    (128, 1): (172.67249, 19.76062, [-1.31595, 1.58854, -1.62408]),
    (128, 2): (135.92441, 12.45019, [-1.28356, 1.44268, -0.41337]),
}


def projected(network: DenseICNN) -> DenseICNN:
    network = fill(network)
    network.project()
    return network


def autograd_push(network: DenseICNN, x: torch.Tensor) -> torch.Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(network(x).sum(), x)[0]


@pytest.mark.parametrize("dim", [4, 16])
def test_values_gradients_and_keys_are_those_of_the_original(fixtures: Path, dim: int):
    about, arrays = load_fixture(fixtures, f"dense_icnn_{dim}")
    network = projected(DenseICNN(dim))
    state = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert state == {key: tuple(shape) for key, shape in about["keys"]}
    torch.testing.assert_close(network(arrays["in_x"]), arrays["out_value"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        network.push(arrays["in_x"]), arrays["out_grad"], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(("dim", "version"), GOLDEN)
def test_golden_gradients_of_the_official_potentials(shared: Path, dim: int, version: int):
    file = shared / f"data/wasserstein2_benchmark/Mix3toMix10/{dim}_v{version}.pt"
    network = DenseICNN(dim, strong_convexity=1e-2)
    load_strict(network, read_checkpoint(file))
    x = torch.sin(torch.arange(1, dim + 1, dtype=torch.float32)).unsqueeze(0)
    value, norm, first = GOLDEN[dim, version]
    gradient = network.push(x)
    assert network(x).item() == pytest.approx(value, rel=1e-4)
    assert gradient.norm().item() == pytest.approx(norm, rel=1e-4)
    assert gradient[0, : len(first)].tolist() == pytest.approx(first, rel=1e-4, abs=1e-4)


def test_official_weights_satisfy_the_constraint_already(shared: Path):
    network = DenseICNN(16)
    load_strict(
        network, read_checkpoint(shared / "data/wasserstein2_benchmark/Mix3toMix10/16_v1.pt")
    )
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network.project()
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize(
    ("dim", "hidden", "rank"),
    [(2, None, 1), (5, (7, 9, 3), 2), (3, (4,), 1), (3, (4, 6), 3), (6, (8, 8, 8, 8), 2)],
)
def test_the_written_gradient_is_autograds(dim: int, hidden: tuple[int, ...] | None, rank: int):
    network = projected(DenseICNN(dim, hidden, rank, strong_convexity=0.3)).double()
    x = 2 * torch.randn(33, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network.push(x), autograd_push(network, x), rtol=1e-10, atol=1e-10)


def test_push_needs_no_graph_and_leaves_none():
    network = projected(DenseICNN(3))
    x = torch.ones(2, 3)
    with torch.inference_mode():
        inferred = network.push(x)
    with torch.no_grad():
        plain = network.push(x)
    assert not plain.requires_grad
    assert torch.equal(inferred, plain)


def test_push_itself_can_be_differentiated():
    network = projected(DenseICNN(3)).double()
    x = torch.randn(1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    hessian = torch.autograd.functional.jacobian(lambda v: network.push(v).squeeze(0), x).squeeze(1)
    torch.testing.assert_close(hessian, hessian.T)
    assert torch.linalg.eigvalsh(hessian).min() >= network.strong_convexity - 1e-12


@pytest.mark.parametrize("strong_convexity", [0.0, 1e-2, 0.5])
def test_gradient_is_strongly_monotone(strong_convexity: float):
    network = projected(DenseICNN(8, strong_convexity=strong_convexity)).double()
    generator = torch.Generator().manual_seed(2)
    x, y = 3 * torch.randn(2, 500, 8, dtype=torch.float64, generator=generator)
    product = ((network.push(x) - network.push(y)) * (x - y)).sum(1)
    assert (product >= strong_convexity * (x - y).square().sum(1)).all()


def test_without_projection_it_is_not_convex():
    network = projected(DenseICNN(8, strong_convexity=0.0)).double()
    with torch.no_grad():
        network.final_layer.weight.neg_()
    generator = torch.Generator().manual_seed(2)
    x, y = 3 * torch.randn(2, 500, 8, dtype=torch.float64, generator=generator)
    assert (((network.push(x) - network.push(y)) * (x - y)).sum(1) < 0).any()
    network.project()
    assert network.final_layer.weight.min() >= 0


def test_the_first_layer_has_no_activation():
    """With the upper layers cut off from x, psi is CELU of a quadratic, not CELU of CELU."""
    network = DenseICNN(1, (1, 1), strong_convexity=0.0).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.quadratic_layers[0].bias.fill_(-2.0)
        network.convex_layers[0].weight.fill_(1.0)
        network.final_layer.weight.fill_(1.0)
    expected = torch.exp(torch.tensor(-2.0, dtype=torch.float64)) - 1
    assert network(torch.zeros(1, 1, dtype=torch.float64)).item() == pytest.approx(expected.item())


def test_strong_convexity_adds_its_quadratic():
    weak, strong = (projected(DenseICNN(4, strong_convexity=sc)) for sc in (0.0, 2.0))
    x = torch.linspace(-1, 1, 12).reshape(3, 4)
    torch.testing.assert_close(strong(x) - weak(x), x.square().sum(1, keepdim=True))
    torch.testing.assert_close(strong.push(x) - weak.push(x), 2 * x)


@pytest.mark.parametrize("dim", [2, 32, 64, 256])
def test_default_widths(dim: int):
    widths = [layer.weight.shape[0] for layer in DenseICNN(dim).quadratic_layers]
    assert widths == [max(2 * dim, 64), max(2 * dim, 64), max(dim, 32)]
    assert [tuple(c.weight.shape[::-1]) for c in DenseICNN(dim).convex_layers] == list(
        pairwise(widths)
    )
