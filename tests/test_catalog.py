"""Discovery with defective distributions installed beside a good one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from textwrap import dedent

import pluggy
import pytest

from srbench.errors import MissingDependency, PluginError, UnknownName, UsageError
from srbench.registry import hookspecs
from srbench.registry.catalog import Entry, discover
from srbench.registry.infos import MethodInfo
from tests.fakes import GOOD, IMPLEMENTATION, ROOT, install, install_good

HEAD = "from srbench import DatasetInfo, MethodInfo, MetricInfo, hookimpl\n"


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A site-packages folder first on the path, with one good plugin; forgotten afterwards."""
    folder = tmp_path / "site"
    install_good(folder)
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(ROOT / "plugins"))
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in (
                sys.modules[name].__file__ or ""):
            del sys.modules[name]


def broken(catalog) -> dict[str, str]:
    """Reasons by origin, without what else this environment may have."""
    return {plugin.origin: plugin.reason for plugin in catalog.broken
            if plugin.distribution != "srbench"}


def test_a_good_plugin_is_found_with_its_origin(site):
    entry = discover().method("works")
    assert (entry.plugin, entry.distribution, entry.version) == ("good", "good", "1.0")
    assert entry.origin == "good:good"
    assert entry.info.sweep == {"lambda": (0, 1)}
    assert entry.module.__name__ == "good_plugin"
    assert "good_plugin_impl" not in sys.modules
    assert entry.load().__name__ == "Works"
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.version = "2"


@pytest.mark.parametrize(("source", "reason"), [
    ("import no_such_package", "No module named 'no_such_package'"),
    ("1 / 0", "ZeroDivisionError: division by zero"),
    ("def (", "SyntaxError"),
    ("raise SystemExit('bye')", "SystemExit: bye"),
    ("""
     @hookimpl
     def srbench_metods():
         return []
     """, "unknown hook 'srbench_metods'; did you mean 'srbench_methods'?"),
    ("""
     @hookimpl
     def srbench_scalar(scalars):
         pass
     """, "unknown hook 'srbench_scalar'; did you mean 'srbench_scalars'?"),
    ("""
     @hookimpl
     def srbench_cell_finished(run, result):
         pass
     """, "hook 'srbench_cell_finished'"),
    ("""
     @hookimpl
     def srbench_methods(config):
         return []
     """, "{'config'}"),
    ("""
     @hookimpl
     def srbench_methods():
         raise RuntimeError("no luck")
     """, "srbench_methods raised RuntimeError: no luck"),
    ("""
     @hookimpl
     def srbench_methods():
         yield MethodInfo(name="first", summary="s", load="m:C")
         raise RuntimeError("no more")
     """, "srbench_methods raised RuntimeError: no more"),
    ("""
     @hookimpl
     def srbench_methods():
         return ["ots"]
     """, "srbench_methods must return MethodInfo records, got 'ots'"),
    ("""
     @hookimpl
     def srbench_methods():
         return "ots"
     """, "srbench_methods must return MethodInfo records, got 'ots'"),
    ("""
     @hookimpl
     def srbench_datasets():
         DatasetInfo(name="d", summary="forgot to return it", load="m:C")
     """, "srbench_datasets must return DatasetInfo records, got None"),
    ("""
     @hookimpl
     def srbench_metrics():
         return [MethodInfo(name="m", summary="of another kind", load="m:C")]
     """, "srbench_metrics must return MetricInfo records, got MethodInfo("),
    ("""
     @hookimpl
     def srbench_methods():
         return [MethodInfo(name="Bad Name", summary="s", load="m:C")]
     """, "the name 'Bad Name' must match"),
    ("""
     @hookimpl
     def srbench_methods():
         return [MethodInfo(name="twin", summary="s", load="m:C")] * 2
     """, "the method name 'twin' is provided twice"),
    ("""
     def srbench_methods():
         return []
     """, "srbench_methods is not marked with @hookimpl"),
    ("answer = 42", "implements no hook; known hooks: srbench_methods"),
])
def test_a_defect_is_set_aside_and_harms_nobody(site, source, reason):
    install(site, "defective", {"bad": "bad_plugin"}, {"bad_plugin": HEAD + dedent(source)})
    catalog = discover()
    assert list(broken(catalog)) == ["defective:bad"]
    assert reason in broken(catalog)["defective:bad"]
    assert "\n" not in broken(catalog)["defective:bad"]
    assert catalog.method("works").distribution == "good"
    assert catalog.metric("psnr").distribution == "srbench"


@pytest.mark.parametrize("source", ["import no_such_package", """
    @hookimpl
    def srbench_methods(config):
        return []
    """])
def test_pluggys_own_loader_would_have_stopped_everything(site, source):
    """The defects are real: this is what the catalog is for."""
    install(site, "defective", {"bad": "bad_plugin"}, {"bad_plugin": HEAD + dedent(source)})
    manager = pluggy.PluginManager("srbench")
    manager.add_hookspecs(hookspecs)
    with pytest.raises((ModuleNotFoundError, pluggy.PluginValidationError)):
        manager.load_setuptools_entrypoints("srbench")


def test_six_defects_at_once_leave_the_good_plugin_alone(site):
    sources = ["import nothing_there", "x = 1", "raise SystemExit(3)", "1 / 0",
               "@hookimpl\ndef srbench_metods(): return []",
               "@hookimpl\ndef srbench_methods(): return 7"]
    for index, source in enumerate(sources):
        install(site, f"bad-{index}", {"bad": f"bad_{index}"}, {f"bad_{index}": HEAD + source})
    catalog = discover()
    assert list(broken(catalog)) == [f"bad-{index}:bad" for index in range(6)]
    assert "works" in catalog.methods


def test_an_entry_point_name_that_is_taken_is_no_conflict(site):
    install_good(site, distribution="other", module="other_plugin", name="other", point="good")
    catalog = discover()
    assert catalog.method("works").origin == "good:good"
    assert catalog.method("other").origin == "other:good"
    assert broken(catalog) == {}


def test_a_method_name_that_is_taken_is_refused_by_name_of_both(site):
    # "zebra" is written first, but order is by distribution, so "good" keeps its name.
    install_good(site, distribution="zebra", module="zebra_plugin", name="works")
    catalog = discover()
    assert catalog.method("works").distribution == "good"
    assert broken(catalog) == {
        "zebra:good": "the method name 'works' is already provided by good:good"}


def test_nobody_takes_a_name_of_srbench_and_a_refused_plugin_gives_none(site):
    install(site, "aaa", {"a": "aaa_plugin"}, {"aaa_plugin": HEAD + dedent("""
        @hookimpl
        def srbench_methods():
            return [MethodInfo(name="mine", summary="s", load="aaa_plugin:M")]

        @hookimpl
        def srbench_metrics():
            return [MetricInfo(name="psnr", title="P", direction="higher", summary="s", load="m:C")]
        """)})
    catalog = discover()
    assert catalog.metric("psnr").origin == "srbench:metrics"
    assert "already provided by srbench:metrics" in broken(catalog)["aaa:a"]
    with pytest.raises(PluginError, match="'mine' comes from broken plugin aaa:a: the metric name"):
        catalog.method("mine")


def test_one_name_may_be_a_method_and_a_dataset(site):
    install(site, "both", {"both": "both_plugin"}, {"both_plugin": HEAD + dedent("""
        @hookimpl
        def srbench_methods():
            return [MethodInfo(name="both", summary="s", load="m:C")]

        @hookimpl
        def srbench_datasets():
            return [DatasetInfo(name="both", summary="s", load="m:C", fixed={"a": 1})]
        """)})
    catalog = discover()
    assert catalog.dataset("both").info.fixed == {"a": 1}
    assert catalog.method("both").origin == "both:both"


def test_an_entry_point_must_name_a_module(site):
    install(site, "defective", {"bad": "bad_plugin:hook"}, {"bad_plugin": "def hook(): pass"})
    assert "must name a module" in broken(discover())["defective:bad"]


def test_damaged_metadata_stops_nobody(site):
    install(site, "damaged", {"x": "good_plugin"}, {})
    (site / "damaged-1.0.dist-info" / "entry_points.txt").write_text("[srbench]\nnot a pair\n")
    install(site, "nameless", {"x": "other_plugin"},
            {"other_plugin": GOOD.format(name="nameless", module="other_plugin")})
    (site / "nameless-1.0.dist-info" / "METADATA").unlink()
    catalog = discover()
    assert "cannot be read" in broken(catalog)["damaged:entry_points.txt"]
    assert "works" in catalog.methods
    assert "nameless" in catalog.methods


def test_a_shadowed_copy_of_a_distribution_counts_once(site, tmp_path, monkeypatch):
    install_good(tmp_path / "shadow")
    sys.path.append(str(tmp_path / "shadow"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    catalog = discover()
    assert catalog.method("works").distribution == "good"
    assert broken(catalog) == {}
    sys.path.remove(str(tmp_path / "shadow"))


def test_order_is_srbench_first_then_by_name(site):
    install_good(site, distribution="alpha", module="alpha_plugin", name="zz", point="b")
    origins = list(dict.fromkeys(entry.distribution for _, entry in discover().entries()
                                 if not entry.distribution.startswith("srbench-")))
    methods = [entry.distribution for entry in discover().methods.values()]
    assert methods == sorted(methods, key=lambda name: (name != "srbench", name))
    assert "srbench" in origins


def test_what_a_plugin_prints_is_not_the_answer(site, capsys):
    install(site, "loud", {"loud": "loud_plugin"},
            {"loud_plugin": "print('hello')\n" + HEAD})
    discover()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hello" in captured.err


def test_an_unknown_name_is_answered_with_the_nearest(site):
    catalog = discover()
    with pytest.raises(UnknownName, match="no method named 'work'; did you mean 'works'"):
        catalog.method("work")
    with pytest.raises(UnknownName, match="no dataset named 'works' \\('works' is a method\\)"):
        catalog.dataset("works")
    with pytest.raises(UnknownName, match="no metric named 'nonsense'"):
        catalog.metric("nonsense")


def test_a_name_that_may_come_from_a_broken_plugin_says_so(site):
    install(site, "defective", {"bad": "bad_plugin"}, {"bad_plugin": "import nothing_there"})
    catalog = discover()
    with pytest.raises(PluginError) as caught:
        catalog.method("bad")
    assert caught.value.message == (
        "'bad' comes from broken plugin defective:bad: No module named 'nothing_there'")
    assert caught.value.hint == "pip install --upgrade defective, or pip uninstall defective"
    assert caught.value.exit_code == 2
    with pytest.raises(UnknownName, match=r"broken plugins may provide more: .*defective:bad"):
        catalog.dataset("whatever")


def entry_of(site, load: str, sources: dict[str, str]) -> Entry:
    for name, source in sources.items():
        (site / f"{name}.py").write_text(dedent(source))
    info = MethodInfo(name="m", summary="s", load=load)
    return Entry(info, "point", "dist", "1.0", sys.modules[__name__])


@pytest.mark.parametrize(("source", "kind", "what", "hint"), [
    ("import nothing_there", MissingDependency, "needs the package 'nothing_there'",
     "pip install nothing_there"),
    ("import nothing_there.part", MissingDependency, "needs the package 'nothing_there'",
     "pip install nothing_there"),
    ("import impl_of_m.missing", PluginError, "cannot be imported", "pip install --upgrade dist"),
    ("import srbench.missing", PluginError, "cannot be imported", "pip install --upgrade dist"),
    ("import json.missing", PluginError, "cannot be imported", "pip install --upgrade dist"),
    ("raise OSError('libfoo.so')", PluginError, "raised OSError: libfoo.so", "dist"),
    ("raise SystemExit", PluginError, "raised SystemExit", "dist"),
    ("Other = 1", PluginError, "has no 'C'", "dist"),
    ("C = 1", PluginError, "must be a subclass of srbench.Method, got 1", "dist"),
    ("class C: pass", PluginError, "must be a subclass of srbench.Method", "dist"),
    ("from srbench.errors import MissingWeights\nraise MissingWeights('its own words')",
     Exception, "its own words", ""),
    ("def __getattr__(name): import nothing_there", MissingDependency, "'nothing_there'", "pip"),
])
def test_an_implementation_that_cannot_be_loaded(site, source, kind, what, hint):
    entry = entry_of(site, "impl_of_m:C", {"impl_of_m": source})
    with pytest.raises(kind) as caught:
        entry.load()
    assert what in caught.value.message
    assert hint in caught.value.hint
    if kind is PluginError:
        assert "dist:point" in caught.value.message


@pytest.mark.parametrize(("package", "distribution"), [
    ("skimage", "scikit-image"), ("ot", "POT"), ("nowhere", "nowhere")])
def test_the_package_to_install_is_named_as_pip_knows_it(site, monkeypatch, package, distribution):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Hidden(package), *sys.meta_path])
    entry = entry_of(site, "impl_of_m:C", {"impl_of_m": f"import {package}.part"})
    with pytest.raises(MissingDependency) as caught:
        entry.load()
    assert caught.value.hint == f"pip install {distribution}"


class Hidden:
    """A finder by which one package is not installed."""

    def __init__(self, package):
        self.package = package

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.fixture
def one_file(tmp_path) -> Path:
    """A plugin in one file, metadata and implementation."""
    path = tmp_path / "one_file_plugin.py"
    path.write_text(dedent(GOOD.format(name="single", module="one_file_plugin")).replace(
        "one_file_plugin_impl", "one_file_plugin") + dedent(IMPLEMENTATION))
    yield path
    sys.modules.pop("one_file_plugin", None)


def test_a_file_is_a_plugin_even_if_it_imports_torch(one_file):
    catalog = discover([one_file, one_file])
    assert catalog.extra == [one_file.resolve()]
    entry = catalog.method("single")
    assert (entry.plugin, entry.distribution) == (str(one_file), "file")
    assert entry.version == hashlib.sha256(one_file.read_bytes()).hexdigest()[:12]
    assert entry.load().__name__ == "Works"
    assert entry.load() is sys.modules["one_file_plugin"].Works
    assert discover([one_file]).method("single").version == entry.version


def test_a_relative_path_is_kept_absolute_for_workers(one_file, monkeypatch):
    monkeypatch.chdir(one_file.parent)
    extra = discover([Path(one_file.name)]).extra
    assert extra == [one_file.resolve()]
    code = ("import json, sys; from pathlib import Path; "
            "from srbench.registry.catalog import discover\n"
            "catalog = discover([Path(word) for word in sys.argv[1:]])\n"
            "entry = catalog.method('single')\n"
            "print(json.dumps([entry.origin, entry.version, entry.load().__qualname__]))")
    done = subprocess.run([sys.executable, "-c", code, *map(str, extra)], cwd="/", text=True,
                          capture_output=True, check=True)
    entry = discover(extra).method("single")
    assert json.loads(done.stdout) == [entry.origin, entry.version, "Works"]


@pytest.mark.parametrize(("name", "reason"), [
    ("json.py", "hides another module"),
    ("my-plugin.py", "not a Python identifier"),
])
def test_a_file_whose_name_cannot_be_imported_is_set_aside(tmp_path, name, reason):
    path = tmp_path / name
    path.write_text(HEAD)
    found, = (plugin for plugin in discover([path]).broken if plugin.distribution == "file")
    assert reason in found.reason
    assert found.remedy == f"mend {path.resolve()}"
    assert json.dumps([1]) == "[1]"


def test_a_file_that_fails_leaves_no_module_behind(tmp_path):
    path = tmp_path / "half_a_plugin.py"
    path.write_text("x = 1\n1 / 0")
    catalog = discover([path])
    assert any("ZeroDivisionError" in plugin.reason for plugin in catalog.broken)
    assert "half_a_plugin" not in sys.modules


@pytest.mark.parametrize("name", ["absent.py", "folder", "notes.txt"])
def test_a_path_that_is_no_python_file_is_wrong_usage(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UsageError, match=name):
        discover([tmp_path / name])


def test_srbenchs_own_plugins_come_through_the_same_door():
    points = {point.name for point in metadata.entry_points(group="srbench")
              if point.dist and point.dist.name == "srbench"}
    catalog = discover()
    found = [*(entry for _, entry in catalog.entries()), *catalog.trackers.values()]
    assert points <= {one.plugin for one in [*found, *catalog.broken]}


def test_discovery_imports_neither_torch_nor_pydantic():
    code = ("import sys; from srbench.registry.catalog import discover; import srbench.spec; "
            "discover(); print([n for n in ('torch', 'pydantic', 'pandas') if n in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
