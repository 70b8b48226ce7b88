"""Discovery of distributions in the shapes installers, and broken disks, leave them in."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from textwrap import dedent

import pytest

from srbench import DatasetInfo, MethodInfo, MetricInfo
from srbench.errors import MissingDependency, PluginError, UnknownName, UsageError
from srbench.registry.catalog import BrokenPlugin, Catalog, discover
from srbench.registry.implementation import load_implementation, remedy
from srbench.registry.inspection import sentence
from srbench.registry.sources import file_sources
from tests.fakes import GOOD, IMPLEMENTATION, ROOT, install, install_good

PLUGIN = """
    from srbench import MethodInfo, hookimpl

    @hookimpl
    def srbench_methods():
        return [MethodInfo(name="{name}", summary="s", load="m:C")]
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder first on the path, with one good plugin; its modules are forgotten afterwards."""
    folder = tmp_path / "site"
    install_good(folder)
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(ROOT / "plugins"))
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in set(sys.modules) - before:
        if str(tmp_path) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


def broken(catalog) -> dict[str, BrokenPlugin]:
    return {plugin.origin: plugin for plugin in catalog.broken if plugin.distribution != "srbench"}


def metadata_folder(site: Path, name: str = "odd") -> Path:
    """Metadata of a plugin distribution whose files a test then damages."""
    install(site, name, {name: f"{name}_plugin"}, {f"{name}_plugin": PLUGIN.format(name=name)})
    return site / f"{name}-1.0.dist-info"


def test_a_wheel_on_the_path_is_found_without_unpacking(site, tmp_path, monkeypatch):
    wheel = tmp_path / "zipped-2.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("zipped.py", dedent(GOOD.format(name="zipped", module="zipped")))
        archive.writestr("zipped_impl.py", dedent(IMPLEMENTATION))
        archive.writestr("zipped-2.0.dist-info/METADATA",
                         "Metadata-Version: 2.1\nName: zipped\nVersion: 2.0\n")
        archive.writestr("zipped-2.0.dist-info/entry_points.txt", "[srbench]\nz = zipped\n")
    monkeypatch.syspath_prepend(str(wheel))
    entry = discover().method("zipped")
    assert (entry.origin, entry.version) == ("zipped:z", "2.0")
    assert entry.load().__name__ == "Works"


def test_an_egg_info_folder_of_an_old_installer_counts_too(site):
    egg = site / "old.egg-info"
    egg.mkdir()
    (egg / "PKG-INFO").write_text("Metadata-Version: 1.2\nName: old\nVersion: 0.9\n")
    (egg / "entry_points.txt").write_text("[srbench]\nold = old_plugin\n")
    (site / "old_plugin.py").write_text(dedent(PLUGIN.format(name="old")))
    assert discover().method("old").version == "0.9"


def test_other_groups_and_layout_of_the_file_do_not_matter(site):
    folder = metadata_folder(site)
    (folder / "entry_points.txt").write_text(
        "# made by hand\n\n[console_scripts]\nrun = odd_plugin:main\n\n"
        "[srbench]\n\n  odd=odd_plugin  \n# another\n[other]\nx = y\n")
    catalog = discover()
    assert catalog.method("odd").origin == "odd:odd"
    assert broken(catalog) == {}


def test_a_group_whose_name_only_begins_like_ours_is_not_ours(site):
    (metadata_folder(site) / "entry_points.txt").write_text("[srbench.extra]\nodd = odd_plugin\n")
    catalog = discover()
    assert "odd" not in catalog.methods
    assert broken(catalog) == {}


@pytest.mark.parametrize("content", [b"\xff\xfe\x00[srbench]\n", b"[srbench]\nx = \xe9t\xe9\n"])
def test_entry_points_that_are_no_text_stop_nobody(site, content):
    (metadata_folder(site) / "entry_points.txt").write_bytes(content)
    catalog = discover()
    assert catalog.method("works").distribution == "good"
    assert "odd" not in catalog.methods
    assert "cannot be read" in broken(catalog)["odd:entry_points.txt"].reason


def test_a_distribution_without_plugins_may_be_as_damaged_as_it_likes(site):
    (metadata_folder(site) / "entry_points.txt").write_bytes(b"\xff\xfe\x00[console_scripts]\n")
    assert broken(discover()) == {}


@pytest.mark.parametrize("line", ["odd", "odd = ", "odd = odd plugin"])
def test_a_line_that_is_no_entry_point_stops_nobody(site, line):
    (metadata_folder(site) / "entry_points.txt").write_text(f"[srbench]\n{line}\n")
    catalog = discover()
    assert catalog.method("works").distribution == "good"
    assert "odd" not in catalog.methods


@pytest.mark.parametrize("content", [None, b"", b"Name: \n", b"\xff\xff"])
def test_metadata_without_a_name_still_gives_its_plugin_or_sets_it_aside(site, content):
    folder = metadata_folder(site)
    if content is None:
        (folder / "METADATA").unlink()
    else:
        (folder / "METADATA").write_bytes(content)
    catalog = discover()
    assert catalog.method("works").distribution == "good"
    assert "odd" in catalog.methods or broken(catalog)


def test_a_copy_under_another_spelling_of_its_name_counts_once(site, tmp_path, monkeypatch):
    for place, name in (("user", "two_parts"), ("shadow", "Two-Parts")):
        folder = tmp_path / place
        install(folder, name, {"two": "two_plugin"}, {"two_plugin": PLUGIN.format(name="two")},
                version="3.0" if place == "user" else "1.0")
    monkeypatch.syspath_prepend(str(tmp_path / "shadow"))
    monkeypatch.syspath_prepend(str(tmp_path / "user"))
    catalog = discover()
    assert catalog.method("two").version == "3.0"
    assert broken(catalog) == {}


def test_one_distribution_may_have_several_plugins_and_only_one_is_broken(site):
    install(site, "many", {"a": "many_a", "b": "many_b", "c": "many_c"},
            {"many_a": PLUGIN.format(name="a"), "many_b": "1 / 0",
             "many_c": PLUGIN.format(name="c")})
    catalog = discover()
    assert {catalog.method(name).origin for name in "ac"} == {"many:a", "many:c"}
    assert list(broken(catalog)) == ["many:b"]


def test_a_package_with_submodules_is_a_plugin(site):
    install(site, "deep", {"deep": "deep_package.plugin"}, {})
    package = site / "deep_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text(dedent(PLUGIN.format(name="deep")))
    assert discover().method("deep").module.__name__ == "deep_package.plugin"


def test_hooks_may_return_any_iterable_and_be_several(site):
    install(site, "wide", {"wide": "wide_plugin"}, {"wide_plugin": """
        from srbench import DatasetInfo, MethodInfo, MetricInfo, hookimpl

        @hookimpl
        def srbench_methods():
            return (MethodInfo(name=f"m{k}", summary="s", load="m:C") for k in range(2))

        @hookimpl
        def srbench_datasets():
            return {"d": DatasetInfo(name="wide-d", summary="s", load="m:D")}.values()

        @hookimpl
        def srbench_metrics():
            return ()
        """})
    catalog = discover()
    assert {catalog.method("m0").origin, catalog.method("m1").origin,
            catalog.dataset("wide-d").origin} == {"wide:wide"}
    kinds = [(kind, entry.info.name) for kind, entry in catalog.entries()
             if entry.distribution == "wide"]
    assert kinds == [("method", "m0"), ("method", "m1"), ("dataset", "wide-d")]


def test_an_empty_plugin_is_no_fault(site):
    install(site, "none", {"none": "none_plugin"}, {"none_plugin": """
        from srbench import hookimpl

        @hookimpl
        def srbench_methods():
            return []
        """})
    assert broken(discover()) == {}


def test_names_read_before_a_fault_are_known_to_be_broken(site):
    install(site, "half", {"half": "half_plugin"}, {"half_plugin": """
        from srbench import MethodInfo, hookimpl

        @hookimpl
        def srbench_methods():
            yield MethodInfo(name="first", summary="s", load="m:C")
            yield 3
        """})
    catalog = discover()
    assert broken(catalog)["half:half"].names == ("first",)
    for name in ("first", "half"):
        with pytest.raises(PluginError, match=f"'{name}' comes from broken plugin half:half") as e:
            catalog.method(name)
        assert e.value.hint == "pip install --upgrade half, or pip uninstall half"
    with pytest.raises(UnknownName):
        catalog.method("second")


def test_two_discoveries_are_equal_and_do_not_share(site):
    one, two = discover(), discover()
    assert list(one.methods) == list(two.methods)
    one.methods.clear()
    assert "works" in two.methods


class TestInfos:
    @pytest.mark.parametrize("name", ["ots", "wgan-gp", "w2", "2stage", "a.b-c", "0"])
    def test_names_that_fit(self, name):
        assert MethodInfo(name=name, summary="s", load="m:C").name == name

    @pytest.mark.parametrize("name", ["", "OTS", "a_b", "-a", ".a", "a b", "ä", "a\n", "a[", "a,b"])
    def test_names_that_do_not(self, name):
        with pytest.raises(ValueError, match="must match"):
            DatasetInfo(name=name, summary="s", load="m:C")

    @pytest.mark.parametrize("load", ["", "m", "m:", ":C", "m:C.D", "m.n:C\n", "1m:C", "m C:D"])
    def test_targets_that_do_not(self, load):
        with pytest.raises(ValueError, match=r"must be 'package\.module:Class'"):
            MethodInfo(name="n", summary="s", load=load)

    def test_a_summary_is_needed(self):
        with pytest.raises(ValueError, match="summary of 'n' is empty"):
            MetricInfo(name="n", summary=" \n", load="m:C", title="T", direction="lower")


class TestRemedies:
    @pytest.mark.parametrize(("distribution", "plugin", "said"), [
        ("file", "/x/shift.py", "mend /x/shift.py"), ("srbench", "ots", "install srbench again"),
        ("other", "p", "pip install --upgrade other")])
    def test_depend_on_where_the_plugin_comes_from(self, distribution, plugin, said):
        assert said in remedy(distribution, plugin)
        assert BrokenPlugin(plugin, distribution, "r").remedy == remedy(distribution, plugin)

    @pytest.mark.parametrize(("error", "text"), [
        (ValueError("no\n  luck"), "ValueError: no luck"), (KeyError(), "KeyError"),
        (PluginError("said plainly"), "said plainly"), (ImportError("no x"), "no x"),
        (ImportError(), "ImportError"), (SystemExit(3), "SystemExit: 3")])
    def test_a_fault_is_one_line(self, error, text):
        assert sentence(error) == text

    def test_a_catalog_without_anything_says_so(self):
        with pytest.raises(UnknownName, match="there are none"):
            Catalog().metric("psnr")
        with pytest.raises(UnknownName, match=r"broken plugins may provide more: d:p"):
            Catalog(broken=[BrokenPlugin("p", "d", "r")]).metric("psnr")

    @pytest.mark.parametrize(("load", "kind", "said"), [
        ("srbench.no_module:C", PluginError, "No module named 'srbench.no_module'"),
        ("no_such_top_package.x:C", PluginError, "No module named"),
        ("srbench.errors:Nothing", PluginError, "srbench.errors has no 'Nothing'"),
        ("srbench.errors:SrbenchError", PluginError, "must be a subclass of srbench.Method"),
        ("srbench.errors:TYPE_CHECKING", PluginError, "got False")])
    def test_an_implementation_that_is_not_there(self, load, kind, said):
        with pytest.raises(kind) as caught:
            load_implementation(MethodInfo(name="n", summary="s", load=load), "dist:plugin")
        assert said in caught.value.message
        assert not isinstance(caught.value, MissingDependency)
        assert "dist" in caught.value.hint


def test_a_file_given_twice_by_different_paths_is_one_plugin(tmp_path):
    path = tmp_path / "once.py"
    path.write_text("x = 1")
    (tmp_path / "below").mkdir()
    link = tmp_path / "link.py"
    link.symlink_to(path)
    sources = file_sources([path, tmp_path / "below" / ".." / "once.py", link])
    assert [source.path for source in sources] == [path.resolve()]
    version = sources[0].version
    path.write_text("x = 2")
    assert file_sources([path])[0].version != version


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project's folder with a package that is not installed."""
    package = tmp_path / "srbench-tint" / "srbench_tint_here"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(dedent(
        PLUGIN.format(name="tint").replace("m:C", "srbench_tint_here.method:Works")))
    (package / "method.py").write_text(dedent(IMPLEMENTATION))
    (tmp_path / "srbench-tint" / "tests").mkdir()
    (tmp_path / "srbench-tint" / "tests" / "__init__.py").write_text("")
    yield tmp_path / "srbench-tint"
    for name in [name for name in sys.modules if name.startswith("srbench_tint_here")]:
        del sys.modules[name]


@pytest.mark.parametrize("given", [".", "srbench_tint_here", "srbench_tint_here/__init__.py"])
def test_a_package_is_a_plugin_by_its_folder(project, given):
    entry = discover([project / given]).method("tint")
    assert entry.plugin == str(project / "srbench_tint_here" / "__init__.py")
    assert entry.load().__name__ == "Works"
    (project / "srbench_tint_here" / "method.py").write_text("x = 1")
    assert file_sources([project / given])[0].version != entry.version  # all its files count


def test_a_folder_of_several_packages_or_none_is_refused(project):
    with pytest.raises(UsageError, match="holds no packages"):
        discover([project / "tests" / ".." / ".." ])
    (project / "src" / "other").mkdir(parents=True)
    (project / "src" / "other" / "__init__.py").write_text("")
    with pytest.raises(UsageError, match=r"holds 2 packages \(srbench_tint_here, other\)"):
        discover([project])


def test_the_file_of_an_installed_plugin_is_that_plugin(site):
    path, = [Path(entry.module.__file__) for _, entry in discover().entries()
             if entry.module.__file__.startswith(str(site))]
    catalog = discover([path])
    assert [plugin for plugin in catalog.broken if plugin.distribution == "file"] == []
    assert {entry.distribution for _, entry in catalog.entries()
            if entry.module.__file__ == str(path)} != {"file"}


def test_a_plugin_without_a_file_harms_nobody_else(site, project):
    metadata_folder(site)
    (site / "odd_plugin.py").write_text(dedent(PLUGIN.format(name="odd")) + "\ndel __file__\n")
    try:
        assert {"odd", "tint"} <= set(discover([project]).methods)
    finally:
        sys.modules.pop("odd_plugin", None)  # `site` knows modules by their files


def test_a_tracker_is_named_after_its_package_and_found_by_its_file(site, project):
    source = "from srbench import hookimpl\n\n@hookimpl\ndef srbench_run_started(run):\n    pass\n"
    (project / "srbench_tint_here" / "__init__.py").write_text(source)
    assert set(discover([project]).trackers) > {"srbench_tint_here"}
    metadata_folder(site)
    (site / "odd_plugin.py").write_text(source)
    catalog = discover([site / "odd_plugin.py"])  # that of the installed plugin
    assert "odd" in catalog.trackers
    assert "odd_plugin" not in catalog.trackers
