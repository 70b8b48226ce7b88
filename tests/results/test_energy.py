"""Energy is the difference of counters that somebody else keeps, whatever they do meanwhile."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

import pytest
import torch

from srbench.results.energy import Counter, Energy, gpu_counter, graphics, processors

RANGE = 262_143_328_850  # microjoules after which a real counter starts again


def powercap(root: Path, name: str, label: str, microjoules: int) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{label}\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder / "energy_uj"


def test_packages_are_added_and_their_parts_are_not_counted_twice(tmp_path):
    first = powercap(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    second = powercap(tmp_path, "intel-rapl:1", "package-1", RANGE - 1_000_000)
    powercap(tmp_path, "intel-rapl:0:0", "core", 0)
    powercap(tmp_path, "intel-rapl:2", "psys", 0)
    energy = Energy(processors(tmp_path))
    assert energy.read() == {"cpu": 0}
    first.write_text("7500000")
    second.write_text("3000000")  # started again from 0: 1 J to the end and 3 J since
    for counter in ("intel-rapl:0:0", "intel-rapl:2"):
        (tmp_path / counter / "energy_uj").write_text("99000000")
    assert energy.read() == {"cpu": 2.5 + 4}
    first.write_text("8500000")
    assert energy.read() == {"cpu": 7.5}
    energy.close()


def test_a_counter_that_runs_over_between_two_looks_is_read_meanwhile():
    values = iter([0.0, 6.0, 2.0, 8.0, *[4.0] * 100])  # range 10: 6 + 6 + 6 + 6
    energy = Energy([Counter("cpu", lambda: next(values), 10.0)], seconds=0.005)
    deadline = time.monotonic() + 20
    while energy.read() != {"cpu": 24.0} and time.monotonic() < deadline:
        time.sleep(0.01)
    assert energy.read() == {"cpu": 24.0}
    energy.close()


def test_counters_nobody_may_read_tell_nothing(tmp_path):
    assert Energy(processors(tmp_path / "nowhere")).read() is None
    powercap(tmp_path, "intel-rapl:0", "package-0", 1).write_text("not a number")
    powercap(tmp_path, "intel-rapl:1", "package-1", 1).unlink()
    assert Energy(processors(tmp_path)).read() is None


def test_a_counter_that_falls_silent_keeps_what_it_told():
    answers = iter([1.0, 4.0])

    def joules():
        try:
            return next(answers)
        except StopIteration:
            raise OSError("gone") from None

    energy = Energy([Counter("gpu", joules)])
    assert energy.read() == energy.read() == {"gpu": 3.0}


def test_a_counter_without_a_range_that_goes_back_adds_nothing():
    answers = iter([9.0, 2.0, 5.0])  # the driver was loaded again
    energy = Energy([Counter("gpu", lambda: next(answers))])
    assert energy.read() == {"gpu": 0.0}
    assert energy.read() == {"gpu": 3.0}


class FakeNVML:
    """Two GPUs by id and place; codes as NVML gives them."""

    NOT_FOUND, NOT_SUPPORTED = 6, 3

    def __init__(self, by_id, by_place, counts=True):
        self.by_id, self.by_place, self.counts = by_id, by_place, counts
        self.millijoules = {1: 5_000, 2: 70_000}

    def nvmlInit_v2(self):
        return 0

    def nvmlDeviceGetHandleByUUID(self, name, handle):
        return self._found(self.by_id, name, handle)

    def nvmlDeviceGetHandleByPciBusId_v2(self, name, handle):
        return self._found(self.by_place, name, handle)

    def _found(self, known, name, handle):
        if name.decode() not in known:
            return self.NOT_FOUND
        ctypes.cast(handle, ctypes.POINTER(ctypes.c_void_p))[0] = known[name.decode()]
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle, result):
        if not self.counts:
            return self.NOT_SUPPORTED
        value = self.millijoules[handle.value]
        ctypes.cast(result, ctypes.POINTER(ctypes.c_ulonglong))[0] = value
        return 0


PLACE = "00000000:3b:00.0"


@pytest.mark.parametrize("uuid", ["b-2", "GPU-b-2"])
def test_the_gpu_with_the_id_is_asked(uuid):
    nvml = FakeNVML({"GPU-a-1": 1, "GPU-b-2": 2}, {PLACE: 1})
    energy = Energy([gpu_counter(nvml, uuid, PLACE)])
    nvml.millijoules = {1: 999_000, 2: 71_500}
    assert energy.read() == {"gpu": 1.5}


def test_the_place_on_the_bus_decides_where_the_id_is_unknown():
    nvml = FakeNVML({}, {PLACE: 1})
    energy = Energy([gpu_counter(nvml, "b-2", PLACE)])
    nvml.millijoules[1] = 5_250
    assert energy.read() == {"gpu": 0.25}


@pytest.mark.parametrize("nvml", [FakeNVML({}, {}), FakeNVML({"GPU-x": 1}, {}, counts=False)])
def test_a_driver_that_does_not_tell_is_an_error_of_the_counter(nvml):
    with pytest.raises(OSError, match="NVML error"):
        gpu_counter(nvml, "x", PLACE)


def test_without_a_gpu_or_its_driver_there_is_no_counter():
    assert graphics(torch.device("cpu")) == []
    assert graphics(torch.device("cuda:63"), "libno-such-library.so") == []
