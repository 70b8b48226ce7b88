"""GPUs this process may use, without importing torch."""

from __future__ import annotations

import os

from srbench.results.ask import ask


def visible_gpus() -> dict[str, float]:
    """Memory (GiB) of each GPU, by the name that ``CUDA_VISIBLE_DEVICES`` takes.

    Only those the variable lets through where it is set; empty without a driver.
    """
    answer = ask(["nvidia-smi", "--query-gpu=index,uuid,memory.total",
                  "--format=csv,noheader,nounits"])
    found = {}
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    for line in (answer or "").splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) != 3 or not parts[2].isdigit():
            continue
        index, uuid, memory = parts
        names = {index, uuid}
        if allowed is None:
            found[index] = int(memory) / 1024
        elif names & {name.strip() for name in allowed.split(",")}:
            name = next(name.strip() for name in allowed.split(",") if name.strip() in names)
            found[name] = int(memory) / 1024
    return found
