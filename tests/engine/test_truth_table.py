"""Edit -> hit or miss, through the real command line, on a copy of the sources.

Two cells are watched at once: the method ``truth`` of an installed package, and the method
``single`` of a file given with ``--plugin``; both on a dataset and with a metric of further
plugins. H is a hit (the record is reused), M a miss; the first letter is ``truth``'s.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.engine.truth_lab import Lab

pytestmark = pytest.mark.timeout(900)  # the first line waits for the whole table

METHODS, METRICS = "truth[lr=0.1,steps=3],single", "truth-score,l2-uvp"
Change = Callable[[Lab], dict[str, Any] | None]


def command(lab: Lab, **changes: str | None) -> list[str]:
    """The command line; an option of None is left out."""
    options: dict[str, str | None] = {
        "methods": METHODS, "dataset": "truth-data", "metrics": METRICS, "threads": "1",
        "plugin": str(lab.root / "files/single_plug.py"), "runs": str(lab.root / "runs"),
        "device": "cpu", **changes}
    given = {name.replace("_", "-"): value for name, value in options.items() if value is not None}
    return ["run", *(word for name, value in given.items() for word in (f"--{name}", value))]


def edit(name: str, old: str, new: str) -> Change:
    """Replace a text that stands in a file."""
    def change(lab: Lab) -> None:
        path = lab.save(name)
        text = path.read_text()
        assert re.search(old, text), f"{name} has no {old!r}"
        path.write_text(re.sub(old, new, text, count=1))

    return change


def append(name: str, text: str) -> Change:
    """Add a line to a file, or write a new one."""
    def change(lab: Lab) -> None:
        path = lab.save(name)
        path.write_text((path.read_text() if path.exists() else "") + text)

    return change


class Options:
    """Changes the command line alone, so that several can be tried in one process."""

    def __init__(self, **changes: str | None) -> None:
        self.changes = changes

    def __call__(self, lab: Lab) -> dict[str, Any]:
        return {"argv": command(lab, **self.changes)}


def version(**versions: str) -> Change:
    """Let a package have another version."""
    return lambda lab: {"versions": {name.replace("_", "-"): text
                                     for name, text in versions.items()}}


def crlf(lab: Lab) -> None:
    path = lab.save("lab/truth_plug/helper.py")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def renamed(lab: Lab) -> None:
    old, new = lab.save("lab/truth_plug/helper.py"), lab.save("lab/truth_plug/helper2.py")
    new.write_bytes(old.read_bytes())
    old.unlink()
    edit("lab/truth_plug/method.py", "from . import helper", "from . import helper2 as helper")(lab)


def elsewhere(lab: Lab) -> dict[str, Any]:
    folder = lab.root / "elsewhere"
    folder.mkdir(exist_ok=True)
    return {"cwd": folder}


def another_checkout(lab: Lab) -> dict[str, Any]:
    place = lab.root / "checkout"
    for name in ("sources", "lab", "files"):
        shutil.copytree(lab.root / name, place / name, dirs_exist_ok=True)
    return {"path": [str(place / name) for name in ("sources", "sources/plugins", "lab")],
            "argv": command(lab, plugin=str(place / "files/single_plug.py"))}


def reversed_flags(lab: Lab) -> dict[str, Any]:
    words = command(lab)
    pairs = list(zip(words[1::2], words[2::2], strict=True))
    return {"argv": ["run", *(word for pair in reversed(pairs) for word in pair)]}


def declared(number: str, name: str = "declared_dep", folder: str = "site-packages") -> Change:
    return edit(f"{folder}/{name}-1.0.dist-info/METADATA", "Version: 1.0", f"Version: {number}")


SOURCES = "sources/srbench"
COMMENT = "\n# A comment.\n"
CODE = "\nADDED = 1\n"
TABLE: dict[str, tuple[Change, str]] = {
    "nothing": (lambda lab: None, "HH"),
    # the plugin's package
    "constant of a helper module": (edit("lab/truth_plug/helper.py", "1.5", "2.5"), "MH"),
    "comment": (edit("lab/truth_plug/helper.py", "# Named.*", "# Another."), "HH"),
    "docstring": (edit("lab/truth_plug/helper.py", "Return what", "Give what"), "HH"),
    "formatting": (edit("lab/truth_plug/helper.py", r"\(FACTOR \* gap",
                        "(\n        FACTOR\n        * gap"), "HH"),
    "line endings": (crlf, "HH"),
    "byte of a data file": (edit("lab/truth_plug/table.json", "1.0", "1.1"), "MH"),
    "README": (append("lab/truth_plug/README.md", "More."), "HH"),
    "editor's swap file": (append("lab/truth_plug/.helper.py.swp", "x"), "HH"),
    "new module": (append("lab/truth_plug/more.py", CODE), "MH"),
    "renamed module": (renamed, "MH"),
    "a sentence about the method": (edit("lab/truth_plug/__init__.py", "A method in", "One in"),
                                    "HH"),
    # other local code
    "helper outside the package": (edit("lab/truth_helper.py", "two", "2 + 0 * two"), "MH"),
    "helper of the helper": (edit("lab/truth_deep.py", "2", "3"), "MH"),
    "module nobody imports": (edit("lab/truth_other.py", "1", "2"), "HH"),
    "module only annotations import": (append("lab/truth_types.py", CODE), "HH"),
    "plugin file": (edit("files/single_plug.py", "CONSTANT \\* 1", "CONSTANT * 2"), "HM"),
    "comment in the plugin file": (append("files/single_plug.py", COMMENT), "HH"),
    "helper beside the plugin file": (edit("files/single_helper.py", "1", "2"), "HM"),
    "neighbour of the plugin file": (edit("files/neighbour.py", "1", "2"), "HH"),
    # srbench
    "module both reach": (append(f"{SOURCES}/training/seeding.py", CODE), "MM"),
    "comment in a module both reach": (append(f"{SOURCES}/training/seeding.py", COMMENT), "HH"),
    "the cell": (append(f"{SOURCES}/engine/cell.py", CODE), "MM"),
    "network one reaches": (append(f"{SOURCES}/networks/vectors.py", CODE), "MH"),
    "network none reaches": (append(f"{SOURCES}/networks/rrdbnet.py", CODE), "HH"),
    "list of networks": (append(f"{SOURCES}/networks/__init__.py", CODE), "HH"),
    "another plugin": (append("sources/plugins/srbench_ots/method.py", CODE), "HH"),
    "cli": (append(f"{SOURCES}/cli/show.py", CODE), "HH"),
    "cli of the run": (append(f"{SOURCES}/cli/run.py", CODE), "HH"),
    "boards": (append(f"{SOURCES}/boards/build.py", CODE), "HH"),
    "executor": (append(f"{SOURCES}/engine/executors/local.py", CODE), "HH"),
    "store": (append(f"{SOURCES}/results/store.py", CODE), "HH"),
    "version of srbench": (edit(f"{SOURCES}/__init__.py", '__version__ = "[^"]*"',
                                '__version__ = "99"'), "HH"),
    "schema of keys": (edit(f"{SOURCES}/engine/identity.py", "IDENTITY_SCHEMA = 2",
                            "IDENTITY_SCHEMA = 3"), "MM"),
    # metrics
    "metric that is computed": (append(f"{SOURCES}/evaluation/l2_uvp.py", CODE), "MM"),
    "what that metric imports": (append(f"{SOURCES}/evaluation/mean.py", CODE), "MM"),
    "metric that is not computed": (append(f"{SOURCES}/evaluation/ssim.py", CODE), "HH"),
    "metric of a plugin": (edit("lab/truth_metric.py", r"\+ 0.0", "+ 1.0"), "MM"),
    "protocol of a metric": (edit("lab/truth_metric.py", "score/v1", "score/v2"), "MM"),
    "order of metrics": (Options(metrics="l2-uvp,truth-score"), "HH"),
    "fewer metrics": (Options(metrics="l2-uvp"), "MM"),
    # versions
    "torch": (version(torch="99"), "MM"),
    "numpy": (version(numpy="99"), "MM"),
    "package that draws pages": (version(jinja2="99", Jinja2="99", rich="99"), "HH"),
    "declared dependency": (declared("1.1"), "MH"),
    "dependency of an extra": (declared("1.1", "late_dep"), "HH"),
    "undeclared dependency, which a file cannot declare": (declared("1.1", "undeclared_dep"), "HM"),
    "version of the plugin": (declared("1.1", "truth_plug", "lab"), "HH"),
    # the command
    "seed": (Options(seeds="1"), "MM"),
    "parameter": (Options(methods="truth[lr=0.1,steps=4],single"), "MH"),
    "order of parameters": (Options(methods="truth[steps=3,lr=0.1],single"), "HH"),
    "spelling of a number": (Options(methods="truth[lr=1e-1,steps=3],single"), "HH"),
    "default said aloud": (Options(methods="truth[lr=0.1,steps=3,width=4],single"), "HH"),
    "--set instead of brackets": (Options(methods="truth[lr=0.1],single", set="truth.steps=3"),
                                  "HH"),
    "order of methods": (Options(methods="single,truth[lr=0.1,steps=3]"), "HH"),
    "order of flags": (reversed_flags, "HH"),
    "preset": (Options(preset="paper"), "MM"),
    "default preset said aloud": (Options(preset="quick"), "HH"),
    "precision": (Options(precision="bf16"), "MM"),
    "budget": (Options(budget="600s"), "MM"),
    "threads": (Options(threads="2"), "MM"),
    "ranks": (Options(gpus_per_cell="2"), "MM"),
    "one rank": (Options(gpus_per_cell="1"), "HH"),
    "timeout": (Options(timeout="9"), "HH"),
    "jobs": (Options(jobs="2"), "HH"),
    "memory": (Options(memory="3", gpu_memory="2"), "HH"),
    "checkpoint interval": (Options(checkpoint_every="5"), "HH"),
    "executor of the run": (Options(executor="slurm"), "HH"),
    "device left to choose": (Options(device=None), "HH"),
    "dataset's parameter": (Options(dataset="truth-data[dim=4]"), "MM"),
    "dataset's parameter the fingerprint forgets": (Options(dataset="truth-data[unseen=1]"), "MM"),
    "dataset's default said aloud": (Options(dataset="truth-data[dim=3]"), "HH"),
    "byte of the data": (edit("lab/truth.bin", "data", "dat1"), "MM"),
    "code of the dataset": (append("lab/truth_data/__init__.py", CODE), "MM"),
    "working directory": (elsewhere, "HH"),
    "another checkout of the same code": (another_checkout, "HH"),
}


PLANTED = append(f"{SOURCES}/plan.py", "\nraise RuntimeError('planted')\n")


@pytest.fixture(scope="module")
def found(request: pytest.FixtureRequest,
          tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str] | str]:
    """What each selected line of the table does: a mark by method, or what went wrong.

    The records are made by one real run. Two copies of the lab share the lines: one for each core.
    """
    names = [item.callspec.params["name"] for item in request.session.items
             if item.module is request.module and hasattr(item, "callspec")]
    first = Lab(tmp_path_factory.mktemp("truth") / "first")
    first.build()
    done = subprocess.run([sys.executable, "-m", "srbench", *command(first)], cwd=first.root,
                          env=first.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    labs = [first, first.copy(first.root.with_name("second"))]
    lines = [("planted", PLANTED), *((name, TABLE[name][0]) for name in names)]
    with ThreadPoolExecutor() as pool:
        halves = pool.map(try_lines, labs, [lines[::2], lines[1::2]])
    return {name: marks for half in halves for name, marks in half.items()}


def try_lines(lab: Lab, lines: list[tuple[str, Change]]) -> dict[str, dict[str, str] | str]:
    """Make each change, ask srbench what it would do, and undo it."""
    found: dict[str, dict[str, str] | str] = {}
    lab.open()
    asked = {name: change(lab)["argv"] for name, change in lines if isinstance(change, Options)}
    found.update(zip(asked, lab.dry_run(*asked.values()), strict=True))
    for name, change in lines:
        if name in asked:
            continue
        try:
            job = {"argv": command(lab), **(change(lab) or {})}
            found[name], = lab.dry_run(job.pop("argv"), **job)
        except AssertionError as error:
            found[name] = str(error)
        finally:
            lab.restore()
    lab.close()
    return found


@pytest.mark.parametrize("name", TABLE)
def test_hit_or_miss(found: dict[str, dict[str, str] | str], name: str) -> None:
    words = {"H": "hit", "M": "miss"}
    first, second = TABLE[name][1]
    assert found[name] == {"truth": words[first], "single": words[second]}


def test_the_copy_is_what_runs(found: dict[str, dict[str, str] | str]) -> None:
    """An error planted in the copy is met: nothing here reads the sources under test."""
    assert "RuntimeError: planted" in found["planted"]
