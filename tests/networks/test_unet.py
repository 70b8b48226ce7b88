"""The transport map of the Wasserstein-2 experiments."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from srbench.errors import ParameterError
from srbench.networks import UNet
from srbench.networks.unet import Up
from tests.fill import arr, fill


@pytest.mark.parametrize("side", [16, 32, 64])
def test_keeps_the_size_of_sides_it_can_halve_four_times(side):
    with torch.no_grad():
        assert UNet(2).eval()(arr(0, (2, 3, side, side))).shape == (2, 3, side, side)


@pytest.mark.parametrize("shape", [(17, 31), (33, 32), (50, 37)])
def test_keeps_any_other_size_by_padding(shape):
    with torch.no_grad():
        images = fill(UNet(2)).eval()(arr(0, (1, 3, *shape)))
    assert images.shape == (1, 3, *shape)
    assert images.isfinite().all()


def test_trains_on_32_pixels_where_the_coarsest_map_is_2_by_2():
    network, shapes = fill(UNet(4)), []
    network.down4.register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape)))
    network(arr(0, (4, 3, 32, 32))).square().mean().backward()
    assert shapes == [(4, 32, 2, 2)]
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_channels_in_and_out_are_free():
    with torch.no_grad():
        images = UNet(2, in_channels=1, out_channels=5).eval()(arr(0, (2, 1, 16, 16)))
    assert images.shape == (2, 5, 16, 16)


def test_up_puts_the_skip_first_and_an_odd_row_of_zeros_last():
    up = Up(2, 1)
    up.conv = nn.Identity()
    joined = up(torch.ones(1, 1, 2, 2), torch.full((1, 1, 5, 4), 3.0))
    assert (joined[:, 0] == 3).all()
    assert torch.allclose(joined[0, 1, :4], torch.ones(4, 4))
    assert (joined[0, 1, 4] == 0).all()


def test_up_interpolates_with_aligned_corners():
    up = Up(2, 1)
    up.conv = nn.Identity()
    ramp = torch.tensor([0.0, 3.0]).expand(1, 1, 2, 2)
    joined = up(ramp, torch.zeros(1, 1, 4, 4))
    assert joined[0, 1, 0].tolist() == pytest.approx([0, 1, 2, 3])


def test_the_output_is_not_squashed_and_not_a_correction_of_the_input():
    network = fill(UNet(2)).eval()
    nn.init.zeros_(network.outc.conv.weight)
    nn.init.constant_(network.outc.conv.bias, 7.0)
    with torch.no_grad():
        assert (network(arr(0, (1, 3, 16, 16))) == 7).all()


def test_evaluation_leaves_the_running_statistics_alone():
    network = fill(UNet(2)).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        network(arr(0, (2, 3, 16, 16)))
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_pads_only_where_a_side_does_not_fit():
    class Paddings(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.count += "pad" in str(function)
            return function(*args, **(kwargs or {}))

    network = UNet(2).eval()
    with torch.no_grad(), Paddings() as fitting:
        network(arr(0, (1, 3, 32, 32)))
    with torch.no_grad(), Paddings() as odd:
        network(arr(0, (1, 3, 33, 33)))
    assert fitting.count == 0
    assert odd.count >= 1


@pytest.mark.parametrize("arguments", [{"base": 0}, {"in_channels": 0}, {"out_channels": -1}])
def test_refuses_a_width_below_one(arguments):
    (name,) = arguments
    with pytest.raises(ParameterError, match=name):
        UNet(**arguments)
