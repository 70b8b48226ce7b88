"""What a cell ran on: facts a reader needs to judge or repeat a number.

Nothing here can fail a cell: what cannot be found out is None.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from srbench.results.ask import ask

PACKAGES = ("srbench", "torch", "torchvision", "numpy", "scipy", "pandas", "pyarrow", "pydantic",
            "pluggy", "safetensors", "scikit-image", "lpips", "pytorch-fid", "piq")


def environment(device: torch.device | str) -> dict[str, Any]:
    """Describe interpreter, machine, packages, repository and determinism settings.

    Parameters
    ----------
    device : torch.device or str
        Where the cell ran.

    Returns
    -------
    dict
        JSON data: ``python, platform, device, cpu, gpu, packages, git, determinism``. Holds no
        user name, host name or path.
    """
    device = torch.device(device)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": str(device),
        "cpu": {"model": cpu_model(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "gpu": gpu(device),
        "packages": packages(),
        "git": git(Path()),
        "determinism": determinism(),
    }


def cpu_model() -> str | None:
    """Name of the processor as the system gives it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ask(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.processor() or None
    found = re.search(r"^(?:model name|Processor)\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine() or None


def gpu(device: torch.device) -> dict[str, Any] | None:
    """Name, memory (bytes), driver, CUDA and cuDNN of a CUDA device; None on another device."""
    if device.type != "cuda" or not torch.cuda.is_available():
        return None
    try:
        properties = torch.cuda.get_device_properties(device)
    except (RuntimeError, AssertionError, ValueError):  # no such device, or the driver is gone
        return None
    cudnn: int | None = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return {"name": properties.name, "memory_bytes": properties.total_memory,
            "capability": f"{properties.major}.{properties.minor}", "driver": driver(),
            "cuda": torch.version.cuda, "cudnn": cudnn}


def driver() -> str | None:
    """Version of the NVIDIA driver."""
    answer = ask(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"])
    return answer.splitlines()[0].strip() if answer else None


def packages() -> dict[str, str]:
    """Versions of `PACKAGES` and of every distribution with a srbench plugin."""
    plugins = {entry.dist.name for entry in metadata.entry_points(group="srbench") if entry.dist}
    found = {}
    for name in dict.fromkeys([*PACKAGES, *sorted(plugins)]):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git(folder: Path) -> dict[str, Any] | None:
    """Commit of the repository around ``folder``; None where there is none.

    Returns
    -------
    dict or None
        ``commit``, ``dirty`` (whether tracked files differ from it or untracked ones exist), and
        where dirty ``dirty_digest``, the SHA-256 of the list of changed files and of the
        difference of the tracked ones.
    """
    commit = ask(["git", "rev-parse", "HEAD"], folder)
    if not commit:
        return None
    status = ask(["git", "-c", "core.fsmonitor=false", "status", "--porcelain"], folder)
    if status is None:
        return {"commit": commit, "dirty": None}
    if not status:
        return {"commit": commit, "dirty": False}
    difference = ask(["git", "diff", "--no-ext-diff", "--no-textconv", "HEAD"], folder) or ""
    digest = hashlib.sha256(f"{status}\n{difference}".encode()).hexdigest()
    return {"commit": commit, "dirty": True, "dirty_digest": digest}


def determinism() -> dict[str, Any]:
    """Return the settings that decide whether the same cell gives the same bits."""
    return {
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "cublas_workspace_config": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        "python_hash_seed": os.environ.get("PYTHONHASHSEED"),
    }
