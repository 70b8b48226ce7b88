"""GPUs this process may use, without importing torch."""

from __future__ import annotations

import os
from dataclasses import dataclass

from srbench.results.ask import ask

VARIABLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class _Gpu:
    index: str
    uuid: str
    memory_gib: float

    def is_called(self, name: str) -> bool:
        """Whether the variable means this one; it takes the beginning of a UUID too."""
        return name == self.index or (name.startswith("GPU-") and self.uuid.startswith(name))


def visible_gpus() -> dict[str, float]:
    """Memory (GiB) of each GPU, by the name that ``CUDA_VISIBLE_DEVICES`` takes, in CUDA's order.

    Where the variable is set only those it names, up to the first that CUDA would not find. The
    memory of one the driver does not list, a slice of a GPU for example, is unknown and stands as
    0: cells do not share it. Empty without a driver and without the variable.
    """
    present = _present()
    allowed = os.environ.get(VARIABLE)
    if allowed is None:
        return {gpu.index: gpu.memory_gib for gpu in present}
    found: dict[str, float] = {}
    for name in (name.strip() for name in allowed.split(",")):
        known = [gpu.memory_gib for gpu in present if gpu.is_called(name)]
        if not known and (present or not name.isdigit()) and not name.startswith("MIG-"):
            break
        found[name] = known[0] if known else 0.0
    return found


def _present() -> list[_Gpu]:
    """GPUs the driver lists."""
    answer = ask(["nvidia-smi", "--query-gpu=index,uuid,memory.total",
                  "--format=csv,noheader,nounits"])
    found = []
    for line in (answer or "").splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 3 and parts[2].isdigit():
            found.append(_Gpu(parts[0], parts[1], int(parts[2]) / 1024))
    return found
