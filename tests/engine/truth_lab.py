"""A copy of srbench's sources and plugins of our own, to be edited while keys are watched."""

from __future__ import annotations

import compileall
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

from tests.engine.truth_driver import START

MARK = r"^  [0-9a-f]{10}  (done before|to run) +(\w+)"
ROOT = Path(__file__).resolve().parents[2]

PLUG = '''
"""A method in a package."""
from srbench import MethodInfo, hookimpl

@hookimpl
def srbench_methods():
    return [MethodInfo(name="truth", summary="Shift.", load="truth_plug.method:Truth")]
'''
METHOD = '''
import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from srbench import Field, Method, Parameters

from . import helper

if TYPE_CHECKING:
    from truth_types import Anything

SCALE = json.loads(Path(__file__).with_name("table.json").read_text())["scale"]


class Truth(Method):
    distributed = True

    class Params(Parameters):
        lr: float = Field(0.05, gt=0)
        steps: int = Field(5, ge=1)
        width: int = Field(4, ge=1)

    def build(self):
        import undeclared_dep
        from srbench.networks import VectorMap
        from truth_helper import twice

        self.network = VectorMap(self.problem.dim, hidden=8, depth=2)
        self.offset = torch.nn.Parameter(twice(torch.zeros(self.problem.dim)))

    def fit(self, training):
        optimizer = training.track(optimizer=torch.optim.SGD(self.parameters(), lr=self.params.lr))
        for step in training.steps(self.params.steps):
            gap = self(training.lr(8)).mean(0) - training.hr(8).mean(0)
            step.minimize(helper.penalty(gap) * SCALE, optimizer)

    def forward(self, lr):
        return lr + self.offset + 0 * self.network(lr)
'''
HELPER = '''
"""Helps the method."""
# Named, so that it can be changed.
FACTOR = 1.5


def penalty(gap):
    """Return what is minimised."""
    return (FACTOR * gap.square()).sum()
'''
DATA = '''
import hashlib
from pathlib import Path

import torch
from srbench import Dataset, DatasetInfo, Field, MetricInfo, Parameters, Problem, hookimpl
from srbench.api.metric import Metric, Score

DATA = Path(__file__).resolve().parent.parent / "truth.bin"


@hookimpl
def srbench_datasets():
    return [DatasetInfo(name="truth-data", summary="Normal.", load="truth_data:Data")]


class Data(Dataset):
    class Params(Parameters):
        dim: int = Field(3, ge=1)
        unseen: int = 0

    known_map = True
    source = "generated"

    def __init__(self, params, name):
        super().__init__(params, name)
        self.problem = Problem(domain="vector", lr_shape=(params.dim,), hr_shape=(params.dim,))

    def fingerprint(self):
        return hashlib.sha256(DATA.read_bytes() + bytes([self.params.dim])).hexdigest()

    def sample_lr(self, n, generator):
        return torch.randn(n, self.params.dim, generator=generator)

    def sample_hr(self, n, generator):
        return self.sample_lr(n, generator) + 1

    def test_batches(self, batch_size):
        x = torch.randn(8, self.params.dim, generator=torch.Generator().manual_seed(1))
        return iter([(x, x + 1)])

    validation_batches = test_batches

    def facts(self):
        return {"hr_variance": float(self.params.dim), "transport_cost": 1.0, "test_size": 8}
'''
METRIC = '''
from srbench import Metric, MetricInfo, Score, hookimpl


@hookimpl
def srbench_metrics():
    return [MetricInfo(name="truth-score", title="Score", direction="lower", summary="A score.",
                       load="truth_metric:Truth")]


class Truth(Metric):
    protocol = "truth-score/v1"
    image_only = False

    def update(self, prediction, target, lr):
        self.value = float((prediction - target).abs().mean())

    def compute(self):
        return Score(value=self.value + 0.0, count=8)
'''
SINGLE = '''
import sys
from pathlib import Path

import undeclared_dep
from srbench import Method, MethodInfo, hookimpl

sys.path.append(str(Path(__file__).resolve().parent))


@hookimpl
def srbench_methods():
    return [MethodInfo(name="single", summary="The identity.", load="single_plug:Single")]


class Single(Method):
    distributed = True

    def fit(self, training):
        from single_helper import CONSTANT

        self.constant = CONSTANT * 1.0

    def forward(self, lr):
        return lr
'''
FILES = {
    "lab/truth_plug/__init__.py": PLUG, "lab/truth_plug/method.py": METHOD,
    "lab/truth_plug/helper.py": HELPER, "lab/truth_plug/table.json": '{"scale": 1.0}',
    "lab/truth_plug/README.md": "Words.", "lab/truth_data/__init__.py": DATA,
    "lab/truth_metric.py": METRIC, "lab/truth.bin": "data",
    "lab/truth_helper.py": "from truth_deep import two\n\n\ndef twice(x):\n    return two() * x\n",
    "lab/truth_deep.py": "def two():\n    return 2\n", "lab/truth_other.py": "ONE = 1\n",
    "lab/truth_types.py": "Anything = object\n", "files/single_plug.py": SINGLE,
    "files/single_helper.py": "CONSTANT = 1\n", "files/neighbour.py": "CONSTANT = 1\n",
    "site-packages/declared_dep.py": "", "site-packages/undeclared_dep.py": "",
}
DISTRIBUTIONS = {  # folder, requirements, packages, entry points
    "truth-plug": ("lab", ["declared-dep>=1", "late-dep; extra == 'late'"], [],
                   {"truth": "truth_plug"}),
    "truth-data": ("lab", [], [], {"data": "truth_data"}),
    "truth-metric": ("lab", [], [], {"score": "truth_metric"}),
    "declared-dep": ("site-packages", [], ["declared_dep"], {}),
    "undeclared-dep": ("site-packages", [], ["undeclared_dep"], {}),
    "late-dep": ("site-packages", [], [], {}),
}


@dataclass
class Lab:
    """A folder with everything that is edited, and the process that runs srbench there."""

    root: Path
    saved: dict[Path, bytes | None] = field(default_factory=dict)

    def build(self) -> None:
        """Write plugins and copy srbench."""
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "srbench", self.root / "sources/srbench", ignore=ignore)
        shutil.copytree(ROOT / "plugins", self.root / "sources/plugins", ignore=ignore)
        for name, text in FILES.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.lstrip("\n"))
        for name, facts in DISTRIBUTIONS.items():
            self._distribution(name, *facts)
        # Compiled files are checked by content: two edits within a second may be of equal length.
        compileall.compile_dir(self.root / "sources", quiet=1,
                               invalidation_mode=PycInvalidationMode.CHECKED_HASH)

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which srbench and the plugins are those of this lab."""
        return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": os.pathsep.join(str(self.root / place) for place in (
                    "sources", "sources/plugins", "lab", "site-packages"))}

    def copy(self, root: Path) -> Lab:
        """Another lab of the same files and records."""
        shutil.copytree(self.root, root)
        return Lab(root)

    def open(self) -> None:
        """Start the process that answers `dry_run`."""
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("truth_driver.py"))], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment, cwd=self.root)

    def _distribution(self, name: str, folder: str, requires: list[str], packages: list[str],
                      points: dict[str, str]) -> None:
        """Write the metadata pip would write."""
        info = self.root / folder / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
                                       + "".join(f"Requires-Dist: {word}\n" for word in requires))
        (info / "RECORD").write_text("".join(f"{package}.py,,\n" for package in packages))
        (info / "entry_points.txt").write_text("[srbench]\n" + "".join(
            f"{point} = {module}\n" for point, module in points.items()))

    def dry_run(self, *commands: list[str], versions: dict[str, str] | None = None,
                cwd: Path | None = None, path: list[str] | None = None) -> list[dict[str, str]]:
        """For each command, in one process, planned methods mapped to ``"hit"`` or ``"miss"``."""
        job = {"commands": [[*words, "--dry-run"] for words in commands],
               "cwd": str(cwd or self.root), "versions": versions or {}, "path": path or []}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert found["code"] == 0, found["said"]
        return [{name: {"done before": "hit", "to run": "miss"}[mark]
                 for mark, name in re.findall(MARK, said, re.M)}
                for said in found["said"].split(START)[1:]]

    def save(self, name: str) -> Path:
        """Path of a file that is about to change; `restore` brings it back."""
        path = self.root / name
        self.saved.setdefault(path, path.read_bytes() if path.exists() else None)
        return path

    def restore(self) -> None:
        """Undo every edit."""
        for path, content in self.saved.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        self.saved.clear()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
