"""Distributions that pip could have installed: real metadata folders beside real modules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[1]

GOOD = """
    from srbench import MethodInfo, hookimpl

    @hookimpl
    def srbench_methods():
        return [MethodInfo(name="{name}", summary="A method that works.",
                           load="{module}_impl:Works", sweep={{"lambda": (0, 1)}},
                           paper="a paper", citation="@misc{{cited}}")]
"""
IMPLEMENTATION = """
    from typing import Literal

    from srbench import Field, Method, Parameters

    class Works(Method):
        class Params(Parameters):
            strength: float = Field(0.5, ge=0, lt=10, alias="lambda", description="how much")
            steps: int = Field(100, gt=0)
            kind: Literal["adam", "sgd"] = "adam"
            presets = {"quick": {"steps": 7}, "paper": {"lambda": 2.5, "steps": 900}}

        def fit(self, training):
            pass

        def forward(self, lr):
            return lr
"""


def install(folder: Path, distribution: str, entry_points: dict[str, str],
            modules: dict[str, str], *, version: str = "1.0") -> Path:
    """Write a distribution into ``folder`` as a wheel would be unpacked there."""
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    lines = [f"{name} = {target}" for name, target in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[srbench]", *lines, ""]))
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(dedent(source))
    return folder


def install_good(folder: Path, *, distribution: str = "good", module: str = "good_plugin",
                 name: str = "works", point: str = "good") -> Path:
    """Write a distribution with one method that works."""
    return install(folder, distribution, {point: module},
                   {module: GOOD.format(name=name, module=module),
                    f"{module}_impl": IMPLEMENTATION})


def srbench(*words: str, site: Path | None = None, cwd: Path | None = None,
            **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the real command line with the distributions of ``site`` installed."""
    paths = [str(path) for path in (site, ROOT, ROOT / "plugins") if path is not None]
    plain = {key: value for key, value in os.environ.items()
             if key not in ("NO_COLOR", "FORCE_COLOR", "PYTHONPATH")}
    return subprocess.run(
        [sys.executable, "-m", "srbench", *words], cwd=cwd, text=True, capture_output=True,
        check=False, timeout=120,
        env={**plain, "PYTHONPATH": os.pathsep.join(paths), **environment})
