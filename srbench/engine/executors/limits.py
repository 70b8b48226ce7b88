"""Limits of the control group this process is in: what a container or a batch job may use.

Neither the number of cores nor the free memory that the system tells shows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CACHE = re.compile(r"^(?:total_)?inactive_file (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Limits:
    """What is left of a control group's share; None where it has no limit.

    Attributes
    ----------
    cores : float or None
        Of the processor's time.
    memory_gib : float or None
        Not taken yet; file cache that can be dropped counts as free.
    """

    cores: float | None
    memory_gib: float | None

    @classmethod
    def here(cls, root: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc")) -> Limits:
        """Read the tightest limits of the groups this process is in, versions 1 and 2.

        Parameters
        ----------
        root : Path
            Where control groups are mounted.
        proc : Path
            Where the kernel shows processes.
        """
        groups = list(_groups(root, proc))
        cores = [limit for group in groups if (limit := _cores(group)) is not None]
        free = [limit for group in groups if (limit := _free(group)) is not None]
        return cls(min(cores, default=None), min(free, default=None))


def _groups(root: Path, proc: Path) -> Iterator[Path]:
    """Folders of the groups, from the mounted root down to the own one.

    In a container the own group may be mounted as the root, whatever it is called outside.
    """
    for line in _text(proc / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, inside = rest.partition(":")
        mount = root
        if controllers:
            mount = root / controllers
            if not mount.is_dir():  # "cpu,cpuacct" may be mounted under one of its names
                mount = root / controllers.partition(",")[0]
        yield mount
        for part in Path(inside.strip("/")).parts:
            mount = mount / part
            yield mount


def _cores(group: Path) -> float | None:
    """Share of the processor's time, in cores."""
    both = _text(group / "cpu.max").split()
    quota, period = both if len(both) == 2 else (_text(group / "cpu.cfs_quota_us").strip(),
                                                 _text(group / "cpu.cfs_period_us").strip())
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        return int(quota) / int(period)
    return None


def _free(group: Path) -> float | None:
    """Memory (GiB) that the group may still take."""
    for limit, usage in (("memory.max", "memory.current"),
                         ("memory.limit_in_bytes", "memory.usage_in_bytes")):
        most, taken = _text(group / limit).strip(), _text(group / usage).strip()
        if most.isdigit() and taken.isdigit():
            cache = _CACHE.search(_text(group / "memory.stat"))
            return max(0.0, int(most) - int(taken) + (int(cache[1]) if cache else 0)) / 2**30
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
