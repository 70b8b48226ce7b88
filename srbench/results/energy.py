"""Energy a cell's machine used while it ran, where the machine keeps count.

The GPU's counter is asked through the driver's library, the processors' through Linux' power
capping. Both count the whole device, whoever uses it.
"""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

POWERCAP = Path("/sys/class/powercap")
NVML = "libnvidia-ml.so.1"
SECONDS = 60.0  # a processor's counter runs over within minutes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Counter:
    """A counter of energy that only grows, until it starts again from 0.

    Attributes
    ----------
    kind : str
        What it counts: ``"cpu"`` or ``"gpu"``.
    joules : callable
        Reads it; raises OSError or ValueError where it cannot be read.
    range : float
        Joules after which it starts from 0; infinite where it never does.
    """

    kind: str
    joules: Callable[[], float]
    range: float = float("inf")


class Energy:
    """Joules used since this was made.

    Parameters
    ----------
    counters : iterable of Counter
        Those that cannot be read are left out.
    seconds : float
        How often they are read meanwhile, so that none runs over unseen.
    """

    def __init__(self, counters: Iterable[Counter], seconds: float = SECONDS) -> None:
        self._lock = threading.Lock()
        self._last: list[tuple[Counter, float]] = []
        self._used: dict[str, float] = {}
        for counter in counters:
            value = _read(counter)
            if value is not None:
                self._last.append((counter, value))
                self._used.setdefault(counter.kind, 0.0)
        self._ended = threading.Event()
        if any(counter.range < float("inf") for counter, _ in self._last):
            threading.Thread(target=self._watch, args=(seconds,), daemon=True,
                             name="srbench-energy").start()

    @classmethod
    def of(cls, device: torch.device) -> Energy:
        """Return the one of the processors and, where ``device`` is a GPU, of that."""
        return cls([*processors(), *graphics(device)])

    def read(self) -> dict[str, float] | None:
        """Joules by kind (``"cpu"``, ``"gpu"``); None where nothing counts."""
        with self._lock:
            self._add()
            return {kind: round(value, 3) for kind, value in self._used.items()} or None

    def close(self) -> None:
        """Read no more."""
        self._ended.set()

    def _watch(self, seconds: float) -> None:
        while not self._ended.wait(seconds):
            with self._lock:
                self._add()

    def _add(self) -> None:
        """Add what was used since the last reading."""
        for index, (counter, before) in enumerate(self._last):
            now = _read(counter)
            if now is None:
                continue
            self._used[counter.kind] += now - before if now >= before else (
                now - before + counter.range if counter.range < float("inf") else 0.0)
            self._last[index] = counter, now


def _read(counter: Counter) -> float | None:
    try:
        return counter.joules()
    except (OSError, ValueError):
        return None


def processors(root: Path = POWERCAP) -> list[Counter]:
    """Counters of the processor packages; those of their parts are contained in them."""
    found = []
    for folder in sorted(root.glob("*:*")):
        try:
            if (folder / "name").read_text().startswith("package"):
                found.append(Counter("cpu", _microjoules(folder / "energy_uj"),
                                     _microjoules(folder / "max_energy_range_uj")()))
        except (OSError, ValueError):
            continue
    return found


def _microjoules(path: Path) -> Callable[[], float]:
    return lambda: int(path.read_text()) / 1e6


def graphics(device: torch.device, library: str = NVML) -> list[Counter]:
    """Counter of an NVIDIA GPU; none on another device, or without a driver that tells."""
    if device.type != "cuda":
        return []
    try:
        properties: Any = torch.cuda.get_device_properties(device)
        return [gpu_counter(ctypes.CDLL(library), str(properties.uuid), _pci(properties))]
    except (OSError, AttributeError, RuntimeError, AssertionError, ValueError) as error:
        logger.info("the energy of %s is not known: %s", device, error)
        return []


def _pci(properties: Any) -> str:
    return (f"{properties.pci_domain_id:08x}:{properties.pci_bus_id:02x}:"
            f"{properties.pci_device_id:02x}.0")


def gpu_counter(nvml: Any, uuid: str, pci: str) -> Counter:
    """Counter of the GPU that has that id, or else is at that place on the bus.

    Parameters
    ----------
    nvml : object
        The driver's library, or what behaves like it.
    uuid, pci : str
        As CUDA gives the one, and as domain:bus:device.function.

    Raises
    ------
    OSError
        If the driver has no such GPU or does not count its energy.
    """
    _ask(nvml.nvmlInit_v2)
    handle = ctypes.c_void_p()
    named = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
    try:
        _ask(nvml.nvmlDeviceGetHandleByUUID, named.encode(), ctypes.byref(handle))
    except OSError:
        _ask(nvml.nvmlDeviceGetHandleByPciBusId_v2, pci.encode(), ctypes.byref(handle))

    def joules() -> float:
        millijoules = ctypes.c_ulonglong()
        _ask(nvml.nvmlDeviceGetTotalEnergyConsumption, handle, ctypes.byref(millijoules))
        return millijoules.value / 1e3

    joules()
    return Counter("gpu", joules)


def _ask(function: Any, *given: Any) -> None:
    code = function(*given)
    if code != 0:
        raise OSError(f"the driver answers with NVML error {code}")
