"""What a cell ran on: facts a reader needs to judge or repeat a number.

Nothing here can fail a cell: what cannot be found out is None.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import resource
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import torch

from srbench.results.ask import ask
from srbench.results.energy import Energy

PACKAGES = ("srbench", "torch", "torchvision", "numpy", "scipy", "pandas", "pyarrow", "pydantic",
            "pluggy", "safetensors", "scikit-image", "lpips", "pytorch-fid", "piq")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def environment(device: torch.device | str, folder: Path | None = None,
                energy: Energy | None = None) -> dict[str, Any]:
    """Describe interpreter, machine, packages, repository and determinism settings.

    Parameters
    ----------
    device : torch.device or str
        Where the cell ran.
    folder : Path, optional
        Where the user typed the command, whose repository is described.
    energy : Energy, optional
        Made when the cell began.

    Returns
    -------
    dict
        JSON data: ``python, platform, device, cpu, gpu, packages, git, determinism,
        energy_joules``. Holds no user name, host name or path.
    """
    device = torch.device(device)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": str(device),
        "cpu": {"model": cpu_model(), "cores": os.cpu_count(), "threads": torch.get_num_threads(),
                "memory_bytes": psutil.virtual_memory().total},
        "gpu": gpu(device),
        "packages": packages(),
        "git": git(folder or Path()),
        "determinism": determinism(),
        "energy_joules": energy.read() if energy is not None else None,
    }


def peak_memory() -> int:
    """Most memory (bytes) that this process, or a single one of its children, has held."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    ended = max(usage.ru_maxrss for usage in usages)
    return max([ended * (1 if sys.platform == "darwin" else 1024), *_running_peaks()])


def peak_device_memory(device: torch.device) -> int | None:
    """Most memory (bytes) of tensors this process has held on a GPU; None on another device."""
    cuda: Any = torch.cuda
    if device.type != "cuda" or not cuda.is_initialized():
        return None
    try:
        return int(cuda.max_memory_allocated(device))
    except (RuntimeError, AssertionError, ValueError):  # the driver is gone, or no such device
        return None


def _running_peaks() -> list[int]:
    """Peaks of the children that still run, which `getrusage` leaves out."""
    peaks = []
    for child in psutil.Process().children(recursive=True):
        try:
            text = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8", errors="replace")
        except OSError:  # ended meanwhile, or a system without such files
            continue
        if found := re.search(r"^VmHWM:\s*(\d+) kB", text, re.MULTILINE):
            peaks.append(int(found[1]) * 1024)
    return peaks


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
    """Versions of `PACKAGES`, of every distribution with a srbench plugin, and of what these need.

    Distributions that are not installed are left out.
    """
    plugins = {entry.dist.name for entry in metadata.entry_points(group="srbench") if entry.dist}
    asked = dict.fromkeys([*PACKAGES, *sorted(plugins)])
    needed = {_plain(match[0]) for name in asked for line in _requirements(name)
              if "extra ==" not in line and (match := _NAME.match(line))}
    found = {}
    for name in [*asked, *sorted(needed - {_plain(name) for name in asked})]:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _requirements(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def _plain(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


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
        "float32_matmul_precision": _matmul_precision(),
        "cublas_workspace_config": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        "python_hash_seed": os.environ.get("PYTHONHASHSEED"),
    }


def _matmul_precision() -> str | None:
    """Precision of matrix products; None where a plugin used torch's old and new settings both."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None
