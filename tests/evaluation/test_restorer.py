"""When images are restored whole and when in tiles, by memory that tests set."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from srbench.errors import ParameterError, PluginError
from srbench.evaluation import memory, restorer
from srbench.evaluation.evaluate import evaluate
from srbench.evaluation.memory import (
    SAFETY,
    VARIABLE,
    available_memory,
    bytes_per_pixel,
    forced_pixels,
    free_bytes,
)
from srbench.evaluation.restorer import Restorer

CPU = torch.device("cpu")


class Layers(nn.Module):
    """One 3x3 convolution to 12 channels and a shuffle to twice the size; remembers its inputs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))
        self.shapes = []

    def forward(self, x):
        self.shapes.append(tuple(x.shape))
        return self.body(x)


def image(height, width, count=1):
    generator = torch.Generator().manual_seed(height)
    x = torch.rand(count, 3, height, width, generator=generator)
    return x, torch.zeros(count, 3, 2 * height, 2 * width)


@pytest.fixture
def plenty(monkeypatch):
    """Set how many bytes are free."""
    def give(free):
        monkeypatch.setattr(restorer, "free_bytes", lambda device: free)
    return give


# estimates

def test_the_estimate_is_the_largest_layer_times_the_safety_factor():
    method, (x, _) = Layers(), image(100, 90)
    # shuffle: 12 channels in, 3 channels of 4 pixels out, float32, for each LR pixel
    assert bytes_per_pixel(method, x) == SAFETY * (12 + 12) * 4
    assert method.shapes == [(1, 3, 32, 32)]
    assert bytes_per_pixel(method, x[:, :, :20, :8]) == SAFETY * 24 * 4
    assert not any(part._forward_hooks for part in method.modules())


def test_a_map_without_modules_needs_its_input_and_output():
    class Bare(nn.Module):
        def forward(self, x):
            return {"unused": [x], "out": (nn.functional.interpolate(x, scale_factor=4),)}

    assert bytes_per_pixel(Bare(), torch.zeros(1, 3, 64, 64)) == SAFETY * 4 * (3 + 3 + 48)


def test_a_method_that_takes_no_small_image_has_no_estimate(plenty):
    class Large(Layers):
        def forward(self, x):
            if x.shape[-1] < 40:
                raise RuntimeError("too small")
            return super().forward(x)

    method, (x, y) = Large(), image(60, 60)
    assert bytes_per_pixel(method, x) == 0
    assert not any(part._forward_hooks for part in method.modules())
    plenty(1.0)
    assert Restorer(method, 2, CPU).pixels(x) == math.inf
    assert Restorer(method, 2, CPU)(x, y).shape == y.shape


def test_free_memory_is_that_of_linux(tmp_path, monkeypatch):
    meminfo = tmp_path / "meminfo"
    monkeypatch.setattr(memory, "MEMINFO", meminfo)
    assert available_memory() == math.inf  # no such file
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable:   1234 kB\nMemFree: 5 kB\n")
    assert available_memory() == free_bytes(CPU) == 1234 * 1024
    for text in ("MemTotal: 9 kB\n", "MemAvailable: much\n", "MemAvailable:\n"):
        meminfo.write_text(text)
        assert available_memory() == math.inf


def test_on_cuda_what_torch_keeps_cached_is_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 9000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 700)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 200)
    assert free_bytes(torch.device("cuda")) == 1500
    assert free_bytes(torch.device("meta")) == math.inf


@pytest.mark.parametrize("text", ["many", "0", "-5", "1.5", "1e4"])
def test_a_limit_that_is_no_number_is_an_error(monkeypatch, text):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ParameterError, match=f"{VARIABLE}='{text}' is no number of pixels"):
        forced_pixels()


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_limit_is_none(monkeypatch, text):
    monkeypatch.setenv(VARIABLE, text)
    assert forced_pixels() is None


# whole, a few at a time, in tiles

def test_what_fits_is_restored_whole(plenty):
    method, (x, y) = Layers(), image(50, 60, count=3)
    plenty(2 * SAFETY * 96 * 3 * 50 * 60)  # half of it is just enough
    restore = Restorer(method, 2, CPU)
    found = restore(x, y)
    assert method.shapes == [(1, 3, 32, 32), (3, 3, 50, 60)]
    assert torch.equal(found, method(x).detach())
    assert restore.notes() == []
    restore(x, y)
    assert method.shapes[-1] == (3, 3, 50, 60)
    assert method.shapes.count((1, 3, 32, 32)) == 1  # measured once


def test_a_batch_that_does_not_fit_is_restored_a_few_at_a_time(plenty):
    method, (x, y) = Layers(), image(50, 60, count=5)
    plenty(2 * SAFETY * 96 * (2 * 50 * 60 + 7))
    restore = Restorer(method, 2, CPU)
    found = restore(x, y)
    assert [shape[0] for shape in method.shapes[1:]] == [2, 2, 1]
    torch.testing.assert_close(found, method(x).detach())
    assert restore.notes() == []


def test_an_image_that_does_not_fit_is_restored_in_tiles(plenty):
    method, (x, y) = Layers(), image(150, 130, count=2)
    plenty(2 * SAFETY * 96 * 100 * 100)
    restore = Restorer(method, 2, CPU)
    restore(*image(40, 40))
    found = restore(x, y)
    assert {shape for shape in method.shapes[2:]} == {(1, 3, 96, 96)}
    torch.testing.assert_close(found, method(x).detach(), rtol=0, atol=1e-5)
    assert restore.notes() == ["2 of 3 test images were restored in tiles of 96 LR pixels with 32 "
                               "pixels of overlap"]


def test_tiles_follow_what_is_free_and_never_vanish(plenty):
    method, (x, y) = Layers(), image(150, 130)
    restore = Restorer(method, 2, CPU)
    for side in (100, 120, 3):
        plenty(2 * SAFETY * 96 * side * side)
        restore(x, y)
    assert {shape[-1] for shape in method.shapes[1:]} == {96, 120, 80}
    assert restore.notes()[0].startswith("3 of 3 test images were restored in tiles of 80-120 LR")


def test_an_image_no_larger_than_the_smallest_tile_is_whole(plenty):
    method, (x, y) = Layers(), image(70, 80, count=2)
    plenty(1.0)
    restore = Restorer(method, 2, CPU)
    restore(x, y)
    assert method.shapes[1:] == [(1, 3, 70, 80)] * 2
    assert restore.notes() == []


def test_a_forced_limit_asks_for_no_memory(monkeypatch):
    monkeypatch.setenv(VARIABLE, str(56 * 56))
    monkeypatch.setattr(restorer, "free_bytes", lambda device: pytest.fail("asked"))
    method, (x, y) = Layers(), image(90, 57)
    restore = Restorer(method, 2, CPU, margin=8)
    found = restore(x, y)
    assert {shape[2:] for shape in method.shapes} == {(56, 56)}
    torch.testing.assert_close(found, method(x).detach(), rtol=0, atol=1e-5)
    assert restore.notes()[0].endswith("in tiles of 56 LR pixels with 8 pixels of overlap")


def test_the_wrong_size_of_output_is_an_error_tiled_or_not(monkeypatch):
    x, _ = image(100, 100)
    with pytest.raises(PluginError, match=r"to \(1, 3, 200, 200\), but the HR images have shape"):
        Restorer(Layers(), 4, CPU)(x, torch.zeros(1, 3, 400, 400))
    monkeypatch.setenv(VARIABLE, "6400")
    with pytest.raises(PluginError, match=r"\(1, 3, 160, 160\), but .* \(1, 3, 320, 320\)"):
        Restorer(Layers(), 4, CPU)(x, torch.zeros(1, 3, 400, 400))


# a device that runs out of memory

class Greedy(Layers):
    """Runs out of CUDA memory on more than so many pixels."""

    def __init__(self, most):
        super().__init__()
        self.most = most

    def forward(self, x):
        if x[:, 0].numel() > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return super().forward(x)


@pytest.fixture
def emptied(monkeypatch):
    """Count how often the cache of the device is emptied."""
    calls = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append(1))
    return calls


def test_out_of_memory_falls_back_to_tiles(plenty, emptied):
    plenty(math.inf)
    method, (x, y) = Greedy(100 * 100), image(150, 130)
    restore = Restorer(method, 2, torch.device("cpu"))
    found = restore(x, y)
    method.most = math.inf
    torch.testing.assert_close(found, method(x).detach(), rtol=0, atol=1e-5)
    assert len(emptied) == 1  # 19500 pixels, then 9750
    assert restore.notes()[0].startswith("1 of 1 test images were restored in tiles of 96 LR")
    method.shapes.clear()
    restore(x, y)
    assert {shape[2:] for shape in method.shapes} == {(96, 96)}  # learned, not tried again
    assert len(emptied) == 1


def test_out_of_memory_with_a_batch_restores_fewer_at_a_time(plenty, emptied):
    plenty(math.inf)
    method, (x, y) = Greedy(3 * 100 * 100), image(100, 100, count=8)
    restore = Restorer(method, 2, CPU)
    assert restore(x, y).shape == y.shape
    assert [shape[0] for shape in method.shapes] == [2, 2, 2, 2]
    assert restore.notes() == []


@pytest.mark.parametrize("size", [(150, 130), (40, 40)])
def test_out_of_memory_on_the_smallest_tile_is_an_error(plenty, emptied, size):
    plenty(math.inf)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        Restorer(Greedy(100), 2, CPU)(*image(*size))


# in an evaluation

def test_an_evaluation_says_that_images_were_tiled(photographs, make_method, builtin, monkeypatch):
    dataset = photographs()
    method = make_method(dataset.problem, lambda x: nn.functional.interpolate(x, scale_factor=4))
    metrics = {name: builtin[name] for name in ("psnr", "ssim", "colour-shift")}
    whole = evaluate(method, dataset, metrics, device=CPU)
    monkeypatch.setenv(VARIABLE, "1")
    tiled = evaluate(method, dataset, metrics, device=CPU)
    assert whole.notes == []
    assert tiled.notes == ["1 of 3 test images were restored in tiles of 80 LR pixels with 32 "
                           "pixels of overlap"]
    for name in metrics:
        assert tiled.values[name].value == whole.values[name].value
    assert torch.equal(tiled.samples["prediction"], whole.samples["prediction"])


def test_images_of_one_size_are_never_tiled(pairs, make_method, builtin, monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")
    shapes = []
    method = make_method(pairs.problem, lambda x: shapes.append(tuple(x.shape)) or x)
    found = evaluate(method, pairs, {"psnr": builtin["psnr"]}, device=CPU, batch_size=24)
    assert shapes == [(24, 3, 64, 64)]
    assert found.notes == []


def test_a_wrong_limit_is_said_before_anything_is_mapped(photographs, make_method, monkeypatch):
    monkeypatch.setenv(VARIABLE, "lots")
    dataset = photographs()
    method = make_method(dataset.problem, lambda x: pytest.fail("mapped"))
    with pytest.raises(ParameterError, match="lots"):
        evaluate(method, dataset, {}, device=CPU)
