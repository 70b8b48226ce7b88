"""The transport map for real photographs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from srbench.errors import ParameterError
from srbench.networks import EDSR
from tests.fill import arr, fill


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_magnifies_any_size(scale):
    with torch.no_grad():
        larger = fill(EDSR(1, 4, scale=scale))(arr(0, (2, 3, 5, 7)))
    assert larger.shape == (2, 3, 5 * scale, 7 * scale)


def test_res_scale_weighs_the_residual_branches_only():
    state = fill(EDSR(3, 4)).state_dict()
    outputs = []
    for res_scale in (0.0, 1.0):
        network = EDSR(3, 4, res_scale=res_scale)
        network.load_state_dict(state)
        outputs.append(network(arr(0, (1, 3, 6, 6))).detach())
    no_blocks = EDSR(0, 4)
    kept = {key: value for key, value in state.items() if not key.startswith("body")}
    last = {f"body.0.{kind}": state[f"body.3.{kind}"] for kind in ("weight", "bias")}
    no_blocks.load_state_dict(kept | last)
    assert torch.allclose(outputs[0], no_blocks(arr(0, (1, 3, 6, 6))).detach(), atol=1e-6)
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-2)


def test_the_head_skips_around_the_body():
    network = fill(EDSR(2, 4))
    nn.init.zeros_(network.body[-1].weight)
    nn.init.zeros_(network.body[-1].bias)
    x = arr(1, (1, 3, 6, 6))
    with torch.no_grad():
        assert torch.equal(network(x), network.tail(network.head(x)))


def test_the_output_is_not_clamped():
    network = fill(EDSR(1, 4))
    nn.init.constant_(network.tail[1].bias, 5.0)
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 4, 4)).max() > 3


def test_a_shift_by_one_pixel_shifts_the_interior_by_the_scale():
    network = fill(EDSR(1, 4))
    x = arr(2, (1, 3, 24, 24))
    with torch.no_grad():
        still, moved = network(x), network(x.roll(1, dims=3))
    inside = slice(40, 60)
    assert torch.allclose(
        moved[..., inside, 44:64], still[..., inside, 40:60], atol=1e-5 * float(still.abs().max())
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"scale": 3}, "scale is 3"), ({"scale": 0}, "scale is 0"), ({"blocks": -1}, "blocks=-1"),
     ({"features": 0}, "features=0")],
)  # fmt: skip
def test_refuses_what_it_cannot_build(wrong, message):
    with pytest.raises(ParameterError, match=message):
        EDSR(**wrong)
