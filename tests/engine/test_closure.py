"""Which files count: imports followed by hand-made packages, and by srbench's own."""

from __future__ import annotations

import importlib
import json
import subprocess
from pathlib import Path

import pytest

from srbench.engine.closure import LAZY, NEUTRAL, Closure, is_neutral
from srbench.engine.sources import Import, read_python
from srbench.errors import PluginError

ROOT = Path(__file__).resolve().parents[2]


def digest(text: str) -> str:
    return read_python(text.encode()).digest


@pytest.mark.parametrize(("edit", "same"), [
    ('def f(x):\n    return x + 1\n', True),
    ('def f(x):\n    # why\n    return x + 1\n', True),
    ('"""Doc."""\ndef f(x):\n    """Doc."""\n    return (x\n            + 1)\n', True),
    ('def f(x):\n    return x + 1\n"""Said of what stands above."""\n', True),
    ('def f(x):\n    return x + 2\n', False),
    ('def f(x):\n    return x - 1\n', False),
    ('def f(x):\n    return x + 1.0\n', False),
    ('def f(x):\n    return x + True\n', False),
    ('def f(y):\n    return y + 1\n', False),
    ('def f(x, *, z=0):\n    return x + 1\n', False),
    ('async def f(x):\n    return x + 1\n', False),
    ('def f(x):\n    "not a docstring" + x\n    return x + 1\n', False),
    ('def f(x):\n    return "x + 1"\n', False)])
def test_comments_and_docstrings_do_not_count_but_code_does(edit, same):
    assert (digest(edit) == digest("def f(x):\n    return x + 1\n")) is same


@pytest.mark.parametrize(("one", "other"), [
    ("f(['a', 'b'])", "f(['a'], 'b')"), ("f(a, b=c)", "f(a, **{'b': c})"),
    ("x = 'None'", "x = None"), ("{**a, b: c}", "{b: c, **a}"), ("global a, b", "global b, a"),
    ("f('a', 'b')", "f('a\\0b')"), ("def f(a, /): 0", "def f(a): 0"), ("x[0:1]", "x[0:1:None]"),
    ("try:\n 1\nfinally:\n 2", "try:\n 1\nexcept:\n 2")])
def test_what_differs_has_another_digest(one, other):
    assert digest(one) != digest(other)


def test_what_cannot_be_parsed_counts_by_its_bytes():
    for text in ("def f(:", "x = 1\0", "print 'two'", "x = " + "-" * 100_000 + "1"):
        assert digest(text) != digest(text + " # comment")
        assert read_python(text.encode()).imports == ()


def test_imports_at_any_depth_but_not_those_for_annotations():
    source = read_python(b"""
import a.b, c
from .d import e as f, g
if TYPE_CHECKING:
    import never
    from typing import hidden
else:
    import h
def function():
    from .. import i
    import_module("j.k")
    importlib.import_module(".l", __package__)
    import_module(name)
    getattr(x, "attribute")
""")
    assert set(source.imports) == {
        Import("a.b"), Import("c"), Import("d", 1, ("e", "g")), Import("h"),
        Import("", 2, ("i",)), Import("j.k"), Import("", 1, ("l",))}
    assert source.attributes == {"import_module", "attribute"}
    assert not source.dynamic
    assert read_python(b"getattr(x, name)").dynamic


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of the import path."""
    place = tmp_path / "path"
    place.mkdir()
    monkeypatch.syspath_prepend(str(place))
    return place


def files(*targets: str, own=()) -> set[str]:
    closure = Closure()
    return set(closure.digests(closure.reach(targets, own).units))


def outside(*targets: str) -> set[str]:
    return {name for name in files(*targets) if not name.startswith("srbench/")}


def test_a_package_counts_with_all_its_files_but_texts_and_caches(folder):
    counted = {"plug_a/__init__.py": "", "plug_a/method.py": "", "plug_a/unused/deep.py": "",
               "plug_a/data/table.json": "{}", "plug_a/weights": "1"}
    ignored = {f"plug_a/{name}": "" for name in (
        "README.md", "notes.rst", "py.typed", "__pycache__/method.cpython-311.pyc", "method.pyi",
        ".hidden/x.py", ".method.py.swp", "old.pyc")}
    write(folder, {**counted, **ignored})
    assert outside("plug_a.method:Class") == set(counted)


def test_a_data_file_counts_by_its_bytes(folder):
    write(folder, {"plug_b/__init__.py": "", "plug_b/table.bin": "a"})
    closure = Closure()
    before = closure.digests(closure.reach(["plug_b:C"]).units)
    write(folder, {"plug_b/table.bin": "b"})
    assert closure.digests(closure.reach(["plug_b:C"]).units) == before  # one plan, one reading
    closure = Closure()
    after = closure.digests(closure.reach(["plug_b:C"]).units)
    assert {name for name in after if after[name] != before[name]} == {"plug_b/table.bin"}


def test_links_to_folders_count_and_may_lead_in_circles(folder, tmp_path):
    write(tmp_path, {"common/part.py": "", "common/data.txt": ""})
    write(folder, {"plug_l/__init__.py": "", "plug_l/sub/x.py": ""})
    (folder / "plug_l/common").symlink_to(tmp_path / "common")
    (folder / "plug_l/sub/loop").symlink_to(folder / "plug_l")
    assert outside("plug_l:C") == {"plug_l/__init__.py", "plug_l/sub/x.py", "plug_l/common/part.py",
                                   "plug_l/common/data.txt"}


def test_a_file_that_cannot_be_read_is_named(folder, monkeypatch):
    write(folder, {"plug_u/__init__.py": "", "plug_u/data.bin": ""})

    really = Path.open

    def refuse(path, *mode, **options):
        if path.suffix == ".bin":
            raise PermissionError(13, "Permission denied")
        return really(path, *mode, **options)

    monkeypatch.setattr(Path, "open", refuse)
    closure = Closure()
    with pytest.raises(PluginError, match=r"cannot read .*data\.bin: Permission denied"):
        closure.digests(closure.reach(["plug_u:C"]).units)


def test_helpers_are_followed_through_each_other_and_in_circles(folder):
    write(folder, {"plug_c.py": "def f():\n    import helper_one\n",
                   "helper_one.py": "from helper_pack import constants\nimport plug_c\n",
                   "helper_pack/__init__.py": "", "helper_pack/constants.py": "import math, json",
                   "helper_pack/unused.py": "from . import constants\nfrom .. import nothing",
                   "unrelated.py": ""})
    assert outside("plug_c:Class") == {
        "plug_c.py", "helper_one.py", "helper_pack/__init__.py", "helper_pack/constants.py",
        "helper_pack/unused.py"}


def test_a_package_without_init_counts_by_the_packages_in_it(folder):
    write(folder, {"lab/plug_d/__init__.py": "from lab.helper import x\nimport lab.pack.part",
                   "lab/plug_d/method.py": "", "lab/helper.py": "x = 1", "lab/other.py": "",
                   "lab/pack/__init__.py": "", "lab/pack/part.py": "", "lab/pack/more.py": ""})
    assert outside("lab.plug_d.method:Class") == {
        "lab/plug_d/__init__.py", "lab/plug_d/method.py", "lab/helper.py", "lab/pack/__init__.py",
        "lab/pack/part.py", "lab/pack/more.py"}


def test_a_helper_beside_a_file_that_is_not_on_the_path(tmp_path):
    from srbench.registry.sources import load_file

    write(tmp_path, {"plug_e.py": "def f():\n    import beside_e\n",
                     "beside_e.py": "import further_e", "further_e/__init__.py": "",
                     "other_e.py": ""})
    load_file(tmp_path / "plug_e.py")
    assert outside("plug_e:Class") == {"plug_e.py", "beside_e.py", "further_e/__init__.py"}


@pytest.mark.parametrize("record", ["beside", "site-packages"])
def test_installed_packages_are_not_read_but_those_of_the_plugins_own_distribution(
        folder, record, monkeypatch):
    if record == "site-packages":
        folder = folder / "site-packages"
        monkeypatch.syspath_prepend(str(folder))
    write(folder, {"plug_f/__init__.py": "import own_f, foreign_f, numpy", "own_f/__init__.py": "",
                   "foreign_f/__init__.py": "import behind_f", "behind_f.py": "",
                   "x-1.dist-info/RECORD": "plug_f/__init__.py,,\nown_f/__init__.py,,\n"
                                           "foreign_f/__init__.py,,\nbehind_f.py,,\n",
                   "x-1.dist-info/METADATA": "Name: x\nVersion: 1\n"})
    closure = Closure()
    reach = closure.reach(["plug_f:C"], own=["own_f"])
    assert set(closure.digests(reach.units)) == {"plug_f/__init__.py", "own_f/__init__.py"}
    assert reach.installed == {"foreign_f", "numpy"}


def test_a_local_helper_in_a_folder_where_something_else_is_installed_counts(folder):
    write(folder, {"plug_g.py": "import helper_g", "helper_g.py": "",
                   "x-1.dist-info/RECORD": "other/__init__.py,,\n",
                   "x-1.dist-info/METADATA": "Name: x\nVersion: 1\n"})
    assert outside("plug_g:C") == {"plug_g.py", "helper_g.py"}


def test_a_renamed_file_counts(folder):
    write(folder, {"plug_h/__init__.py": "", "plug_h/one.py": "x = 1"})
    before = files("plug_h:C")
    (folder / "plug_h/one.py").rename(folder / "plug_h/two.py")
    assert files("plug_h:C") ^ before == {"plug_h/one.py", "plug_h/two.py"}


@pytest.mark.parametrize(("text", "reached", "not_reached"), [
    ("from srbench.networks import EDSR", {"edsr"}, {"unet", "rrdbnet"}),
    ("from srbench.networks import RRDBNet", {"rrdbnet", "edsr", "loading"}, {"unet"}),
    ("from srbench import networks\nnetworks.UNet()", {"unet"}, {"edsr", "rrdbnet"}),
    ("import srbench.networks as parts\nparts.UNet()", {"unet"}, {"edsr"}),
    ("import srbench\nsrbench.networks.UNet()", {"unet"}, {"edsr"}),
    ("from srbench import networks\ngetattr(networks, 'UNet')", {"unet"}, {"edsr"}),
    ("from srbench import networks\ngetattr(networks, name)", {"unet", "edsr", "rrdbnet"}, set()),
    ("from srbench.networks import *", {"unet", "edsr", "rrdbnet"}, set()),
    ("import srbench.networks.unet", {"unet"}, {"edsr"}),
    ("from srbench.networks.rrdbnet import RRDBNet", {"rrdbnet", "edsr"}, {"unet"}),
    ("import torch\nfrom srbench import Method\nMethod.UNet", set(), {"unet", "edsr"})])
def test_networks_count_one_by_one(folder, text, reached, not_reached):
    write(folder, {"plug_n.py": text})
    found = {Path(name).stem for name in files("plug_n:C") if name.startswith("srbench/networks/")}
    assert reached <= found
    assert not found & {*not_reached, "__init__"}


def test_srbenchs_public_names_lead_to_their_modules(folder):
    write(folder, {"plug_p.py": "from srbench import Method, hookimpl, Field"})
    assert {"srbench/api/method.py", "srbench/api/parameters.py"} <= files("plug_p:C")
    assert "srbench/api/dataset.py" not in files("plug_p:C")
    assert not Closure().reach(["plug_p:C"]).installed  # Field is pydantic's, through srbench


def test_an_absent_target_is_named():
    with pytest.raises(PluginError, match="absent_package"):
        Closure().reach(["absent_package.module:Class"])


def test_every_neutral_module_exists_and_says_why():
    for name, reason in NEUTRAL.items():
        inner = name.removesuffix(".*").replace(".", "/")
        assert (ROOT / inner).is_dir() or (ROOT / f"{inner}.py").is_file(), name
        assert len(reason) > 5
        assert name.endswith(".*") == (name not in LAZY and (ROOT / inner / "__init__.py").is_file()
                                       and name != "srbench.engine"), name


def test_packages_that_load_lazily_are_the_listed_ones():
    lazy = {path.parent.relative_to(ROOT).as_posix().replace("/", ".")
            for path in ROOT.glob("srbench/**/__init__.py")
            if read_python(path.read_bytes()).lazy}
    assert lazy == set(LAZY)
    for package in LAZY:
        module = importlib.import_module(package)
        assert read_python(Path(module.__file__).read_bytes()).lazy == module._LAZY


def test_neutral_names_are_whole():
    assert is_neutral("srbench.results.store")
    assert is_neutral("srbench.results")
    assert not is_neutral("srbench.resultsx")
    assert is_neutral("srbench.networks")
    assert not is_neutral("srbench.networks.unet")
    assert not is_neutral("srbench.engine.cell")


RUN = """
import json, sys
from pathlib import Path
from srbench.plan import Request, make_plan
from srbench.registry.catalog import discover
from srbench.results.store import Store
from srbench.spec import parse_specs
cell, = make_plan(Request(
    methods=parse_specs(["toy-shift[iterations=2]"]), datasets=parse_specs(["toy"]), seeds=[0],
    preset="quick", precision="fp32", device="cpu", threads=1), discover([Path(sys.argv[1])]), "p")
store = Store(Path("runs"))
folder = store.cell_folder(cell.key)
folder.mkdir(parents=True)
(folder / "cell.json").write_text(cell.model_dump_json())
from srbench.engine.cell import run_cell
record = run_cell(folder, lambda event: None)
print(json.dumps({"status": record.outcome.status, "code": cell.code,
                  "modules": [name for name in sys.modules if name.partition(".")[0] == "srbench"]
                  }))
"""


def test_every_module_of_srbench_that_a_cell_loads_is_counted_or_neutral(python, tmp_path):
    """What really runs, against what following imports found."""
    plugin = ROOT / "tests/toy_plugin.py"
    done = subprocess.run([python, "-c", RUN, str(plugin)], cwd=tmp_path, text=True,
                          capture_output=True, check=True)
    document = json.loads(done.stdout.splitlines()[-1])
    assert document["status"] == "ok"
    counted = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
               for name in document["code"]["srbench_code"]}
    loaded = {name for name in document["modules"] if not is_neutral(name)}
    assert "srbench.training.session" in loaded
    assert loaded - counted == set()
    assert not [name for name in counted if is_neutral(name)]
