"""``srbench doctor``: what works on this machine, and the command that mends what does not."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench import __version__
from srbench.cli.console import output
from srbench.cli.exits import ExitCode
from srbench.cli.options import json_option, plugin_option
from srbench.errors import PluginError, SrbenchError
from srbench.registry.implementation import remedy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from srbench.registry.catalog import Catalog, Entry

LEAST_FREE = 2 * 1024**3  # bytes: a paper-preset checkpoint with its optimizers, several times


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report.

    Parameters
    ----------
    what : str
        What was looked at.
    ok : bool
        Whether it can be used as it is.
    detail : str
        What was found.
    remedy : str
        The command or setting that mends it; empty where it is ok.
    broken : bool
        Whether a plugin is defective, as opposed to something that is merely absent.
    """

    what: str
    ok: bool
    detail: str
    remedy: str = ""
    broken: bool = False


@click.command(help="""\b
Examples:
  srbench doctor
  srbench doctor --json

Check Python, torch, GPU, disk, weights, datasets and plugins. Each line says ok, or fix with the
command that mends it. Exits with 3 if a plugin is broken.
""")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True,
              metavar="DIR", help="Where records are kept.")
@plugin_option
@json_option
def command(runs: Path, plugins: tuple[Path, ...], *, as_json: bool) -> int:
    """Check this machine."""
    from srbench.registry.catalog import discover

    catalog = discover(plugins)
    checks = [*check_python(), *check_torch(), *check_disk(runs), *check_weights(),
              *check_datasets(catalog), *check_plugins(catalog)]
    if as_json:
        output().document({"ok": all(check.ok for check in checks),
                           "checks": [asdict(check) for check in checks]})
    else:
        output().table(("", "what", "found"), [
            ("ok" if check.ok else "fix", check.what,
             check.detail + (f"; mend with: {check.remedy}" if check.remedy else ""))
            for check in checks])
    return ExitCode.CELLS if any(check.broken for check in checks) else ExitCode.OK


def check_python() -> Iterator[Check]:
    """Python, srbench, and whether its metadata is the code's."""
    yield Check("python", ok=True, detail=f"{platform.python_version()} at {sys.executable}")
    try:
        installed = metadata.version("srbench")
    except metadata.PackageNotFoundError:
        yield Check("srbench", ok=False, detail=f"{__version__}, not installed: no plugin is found",
                    remedy="pip install -e .")
        return
    same = installed == __version__
    yield Check("srbench", ok=same, detail=__version__ if same else
                f"the code is {__version__}, its metadata says {installed}",
                remedy="" if same else "pip install --force-reinstall srbench")


def check_torch() -> Iterator[Check]:
    """Torch, its GPUs and threads."""
    try:
        import torch
    # A torch whose libraries do not fit the machine raises OSError, not ImportError.
    except (ImportError, OSError) as error:
        yield Check("torch", ok=False, detail=f"cannot be imported: {error}",
                    remedy="pip install --force-reinstall torch")
        return
    yield Check("torch", ok=True, detail=torch.__version__)
    names = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    found = ", ".join(f"{gpu.name} {gpu.total_memory / 1024**3:.0f} GiB" for gpu in names)
    yield Check("gpu", ok=True, detail=found or "none: cells run on the CPU")
    yield Check("threads", ok=True,
                detail=f"{torch.get_num_threads()} of {os.cpu_count()} CPUs")


def check_disk(runs: Path) -> Iterator[Check]:
    """Free space where records and downloads go."""
    yield _space("runs", runs, "srbench run --runs DIR on a larger disk")
    try:
        from srbench.files import cache_dir
    except ImportError as error:
        yield Check("cache", ok=False, detail=f"cannot be looked up: {error}",
                    remedy="pip install --force-reinstall srbench")
        return
    yield _space("cache", cache_dir(), "SRBENCH_CACHE=DIR on a larger disk")


def _space(what: str, folder: Path, mend: str) -> Check:
    """Free space of the disk a folder is, or would be, on."""
    present = next(path for path in [folder.absolute(), *folder.absolute().parents]
                   if path.exists())
    free = shutil.disk_usage(present).free
    enough = free >= LEAST_FREE and os.access(present, os.W_OK)
    words = "" if os.access(present, os.W_OK) else ", not writable"
    return Check(what, ok=enough, detail=f"{folder}: {free / 1024**3:.1f} GiB free{words}",
                 remedy="" if enough else mend)


def check_weights() -> Iterator[Check]:
    """Pretrained weights of metrics and datasets."""
    try:
        from srbench.weights import status
    except ImportError as error:
        yield Check("weights", ok=False, detail=f"cannot be looked up: {error}",
                    remedy="pip install --force-reinstall srbench")
        return
    for name, present, detail, mend in status():
        yield Check(f"weights {name}", ok=present, detail=detail,
                    remedy="" if present else mend)


def check_datasets(catalog: Catalog) -> Iterator[Check]:
    """Ask each dataset class about its data; once where several names share it."""
    asked = set()
    for entry in catalog.datasets.values():
        try:
            loaded = entry.load()
        except SrbenchError:
            continue  # reported with the plugins
        if loaded in asked or not hasattr(loaded, "status"):
            continue
        asked.add(loaded)
        # Arbitrary code of a plugin.
        try:
            for what, present, detail, mend in loaded.status():
                yield Check(f"data {what}", ok=present, detail=detail,
                            remedy="" if present else mend)
        except Exception as error:
            yield Check(f"data {entry.info.name}", ok=False,
                        detail=f"{entry.origin} raised {type(error).__name__}: {error}",
                        remedy=remedy(entry.distribution, entry.plugin), broken=True)


def check_plugins(catalog: Catalog) -> Iterator[Check]:
    """Plugins that were set aside, and implementations that cannot be imported."""
    failed = {}
    working: dict[str, list[str]] = {}
    for _, entry in catalog.entries():
        error = _load_error(entry)
        if error is None:
            working.setdefault(entry.origin, []).append(entry.info.name)
        else:
            failed[entry.info.name] = error
    for tracker in catalog.trackers.values():
        working.setdefault(tracker.origin, []).append(tracker.name)
    for origin, names in working.items():
        yield Check(f"plugin {origin}", ok=True, detail=", ".join(names))
    for name, error in failed.items():
        yield Check(f"implementation {name}", ok=False, detail=error.message, remedy=error.hint,
                    broken=isinstance(error, PluginError))
    for plugin in catalog.broken:
        yield Check(f"plugin {plugin.origin}", ok=False, detail=plugin.reason,
                    remedy=plugin.remedy, broken=True)


def _load_error(entry: Entry) -> SrbenchError | None:
    """Return why an implementation cannot be imported, or None."""
    try:
        entry.load()
    except SrbenchError as error:
        return error
    return None
