"""``srbench new``: which names, authors, licences and folders it takes, and what it refuses."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from srbench.cli import main
from srbench.errors import UsageError
from srbench.registry.catalog import BrokenPlugin, Catalog, Entry
from srbench.registry.infos import MethodInfo
from srbench.scaffold.names import Names
from srbench.scaffold.package import Package, commands, write
from tests.fakes import install_good, srbench


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "module", "cls"), [
    ("shift", "srbench_shift", "Shift"), ("my-idea", "srbench_my_idea", "MyIdea"),
    ("cut.v2", "srbench_cut_v2", "CutV2"), ("a--b", "srbench_a__b", "AB"),
    ("x4", "srbench_x4", "X4"), ("a" * 60, "srbench_" + "a" * 60, "A" + "a" * 59)])
def test_what_a_package_is_called(name, module, cls):
    names = Names("method", name)
    assert (names.distribution, names.module, names.cls) == (f"srbench-{name}", module, cls)
    assert names.module.isidentifier()
    assert names.cls.isidentifier()


@pytest.mark.parametrize(("name", "words", "hint"), [
    ("My Idea", "must match", "'my-idea' would do"), ("my_idea", "must match", "'my-idea' would"),
    ("", "must match", "a letter first"), ("4x", "must match", "'x' would do"),
    ("-a", "must match", "'a' would do"), ("a-", "must match", "'a' would do"),
    ("größe", "must match", "'gr-e' would do"), ("../up", "must match", "'up' would do"),
    ("a/b", "must match", "'a-b' would do"), ("a\n", "must match", "'a' would do"),
    ("777", "must match", "a letter first"), ("a" * 61, "at most 60", f"'{'a' * 60}' would do"),
    ("lambda", "word of Python", "my-lambda"), ("none", "word of Python", "my-none"),
    ("class", "word of Python", "my-class"), ("method", "would hide srbench.Method", "my-method"),
    ("known-map-dataset", "hide srbench.KnownMapDataset", "my-known-map-dataset")])
def test_names_that_cannot_be(name, words, hint):
    with pytest.raises(UsageError, match=words) as caught:
        Names("method", name)
    assert hint in caught.value.hint


def entry(name: str, distribution: str) -> Entry[MethodInfo]:
    info = MethodInfo(name=name, summary="Is there.", load="a.b:C")
    return Entry(info, name, distribution, "1.0", SimpleNamespace())


def test_names_that_are_taken():
    catalog = Catalog(
        methods={"own": entry("own", "srbench"), "theirs": entry("theirs", "srbench-theirs")},
        broken=[BrokenPlugin("broken", "srbench-torn", "it raises", ("inner",))])
    for name, words, hint in [
            ("own", "a method called 'own' is installed, from srbench:own", "such as my-own"),
            ("theirs", "from srbench-theirs:theirs", "or first: pip uninstall srbench-theirs"),
            ("broken", "broken plugin srbench-torn:broken", "pip uninstall srbench-torn"),
            ("inner", "broken plugin srbench-torn:broken", "pip uninstall srbench-torn")]:
        with pytest.raises(UsageError) as caught:
            Names("method", name).refuse_taken(catalog)
        assert words in caught.value.message
        assert hint in caught.value.hint
    Names("method", "theirs").refuse_taken(catalog, again=True)  # its own package
    for name in ("own", "broken"):
        with pytest.raises(UsageError):
            Names("method", name).refuse_taken(catalog, again=True)
    Names("dataset", "own").refuse_taken(catalog)  # another kind may share a name
    Names("method", "free").refuse_taken(catalog)


def test_a_module_or_distribution_of_that_name_is_noticed(tmp_path, monkeypatch):
    install_good(tmp_path, distribution="srbench-worn", module="worn_plugin", point="worn")
    (tmp_path / "srbench_torn.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match="the distribution srbench-worn is installed") as caught:
        Names("method", "worn").refuse_taken(Catalog())
    assert "pip uninstall srbench-worn" in caught.value.hint
    Names("method", "worn").refuse_taken(Catalog(), again=True)
    with pytest.raises(UsageError, match=r"a module srbench_torn already: .*srbench_torn\.py"):
        Names("method", "torn").refuse_taken(Catalog())


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_built_in_name_is_refused_at_the_door(here, force):
    done = srbench("new", "method", "ots", *force, cwd=here)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "a method called 'ots' is installed, from srbench:ots" in done.stderr
    assert "hint: choose another name, such as my-ots" in done.stderr
    assert not list(here.iterdir())


def test_the_commands_name_the_folder_as_it_was_given(here, capsys):
    assert main(["new", "dataset", "pairs", "--path", "my plugins/new"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "pip install -e 'my plugins/new/srbench-pairs'", "srbench check pairs",
        "srbench run --methods linear,identity --dataset pairs"]
    assert (here / "my plugins/new/srbench-pairs/srbench_pairs/dataset.py").is_file()
    assert printed.err.count("wrote my plugins/new/srbench-pairs/") == 9


def test_quiet_prints_the_commands_alone(here, capsys):
    assert main(["new", "method", "shift", "-q"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert len(printed.out.splitlines()) == 3


def test_a_folder_that_is_there_is_left_alone(here, capsys):
    folder = here / "srbench-shift"
    folder.mkdir()
    (folder / "README.md").write_text("mine")
    assert main(["new", "method", "shift"]) == 2
    said = capsys.readouterr().err
    assert "there is a folder srbench-shift already" in said
    assert "--force" in said
    assert [path.name for path in folder.iterdir()] == ["README.md"]


def test_force_says_what_it_replaces_and_keeps_the_rest(here, capsys):
    assert main(["new", "method", "shift"]) == 0
    folder = here / "srbench-shift"
    (folder / "README.md").write_text("mine")
    (folder / "srbench_shift" / "network.py").write_text("mine, too")
    capsys.readouterr()
    assert main(["new", "method", "shift", "--force"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line.startswith("replaced")] == [
        "replaced srbench-shift/README.md"]
    assert (folder / "README.md").read_text().startswith("# srbench-shift")
    assert (folder / "srbench_shift" / "network.py").read_text() == "mine, too"


@pytest.mark.parametrize("link", [False, True])
def test_a_file_or_a_dead_link_in_its_place_is_refused_also_with_force(here, link):
    place = here / "srbench-shift"
    place.symlink_to("nowhere") if link else place.write_text("mine")
    with pytest.raises(UsageError, match="there is a file"):
        write(Package(names=Names("method", "shift")), here, force=True)
    assert place.is_symlink() == link


def test_a_linked_file_is_replaced_and_not_written_through(here):
    package = Package(names=Names("method", "shift"))
    folder, _ = write(package, here)
    outside = here / "outside.md"
    outside.write_text("mine")
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to(outside)
    _, replaced = write(package, here, force=True)
    assert replaced == ["README.md"]
    assert outside.read_text() == "mine"


@pytest.mark.parametrize("author", ["O'Brien \"Q\"", "Łukasz 李", "a, b & c <d@e.org>", "#$%`~"])
def test_authors_come_through_unharmed(author):
    files = Package(names=Names("method", "shift"), author=author).files()
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["authors"] == [{"name": author}]
    assert f"Copyright (c) {_year(files)} {author}\n" in files["LICENSE"]
    space: dict[str, object] = {}
    exec(compile(files["srbench_shift/__init__.py"], "made", "exec"), space)
    info, = space["srbench_methods"]()
    assert f"author = {{{author}}}" in info.citation
    assert (info.name, info.load, info.licence) == ("shift", "srbench_shift.method:Shift", "MIT")


def _year(files: dict[str, str]) -> str:
    return files["LICENSE"].split("(c) ")[1][:4]


@pytest.mark.parametrize("author", ["a\nb", "a}b", "{", "a\\b", "\x1b[31m", "a" * 201, "\u2028"])
def test_authors_that_would_break_a_file_are_refused(author):
    with pytest.raises(UsageError, match="--author"):
        Package(names=Names("method", "shift"), author=author)


def test_without_an_author_it_is_the_authors_of_the_package():
    assert Package(names=Names("method", "shift")).author == "the authors of srbench-shift"


@pytest.mark.parametrize(("given", "spelt"), [
    ("mit", "MIT"), ("apache-2.0", "Apache-2.0"), ("MIT or GPL-3.0-only", "MIT OR GPL-3.0-only"),
    ("LicenseRef-My-Own", "LicenseRef-My-Own")])
def test_licences_are_spdx_expressions(given, spelt):
    package = Package(names=Names("dataset", "pairs"), licence=given)
    files = package.files()
    assert package.licence == spelt
    assert tomllib.loads(files["pyproject.toml"])["project"]["license"] == spelt
    assert ("Permission is hereby granted" in files["LICENSE"]) == (spelt == "MIT")
    assert (f"SPDX-License-Identifier: {spelt}" in files["LICENSE"]) == (spelt != "MIT")


@pytest.mark.parametrize("licence", ["", "free", "MIT AND", "MIT\nBSD", "\x1b"])
def test_what_is_no_licence(licence, here, capsys):
    assert main(["new", "method", "shift", "--licence", licence]) == 2
    said = capsys.readouterr().err
    assert "is no SPDX expression" in said
    assert "https://spdx.org/licenses" in said
    assert not list(here.iterdir())


def test_another_licence_asks_for_its_text(here, capsys):
    assert main(["new", "method", "shift", "--licence", "BSD-3-Clause"]) == 0
    said = capsys.readouterr().err
    assert "put the text of BSD-3-Clause into srbench-shift/LICENSE" in said


@pytest.mark.parametrize("words", [["method"], ["metric", "a"], []])
def test_words_that_are_missing_or_unknown(words, here, capsys):
    assert main(["new", *words]) == 2
    assert "hint: srbench new --help" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["shift", "my-idea", "cut.v2"])
@pytest.mark.parametrize("kind", ["method", "dataset"])
def test_files_are_valid_for_every_form_of_name(kind, name):
    names = Names(kind, name)
    files = Package(names=names).files()
    document = tomllib.loads(files["pyproject.toml"])
    assert document["project"]["entry-points"]["srbench"] == {name: names.module}
    assert document["tool"]["setuptools"]["packages"] == [names.module]
    for path, text in files.items():
        assert "{{" not in text, path
        assert not text or text.endswith("\n"), path
        if path.endswith(".py"):
            compile(text, path, "exec")
            assert max(map(len, text.splitlines())) <= 100, path
    assert f"tests/test_{names.module.removeprefix('srbench_')}.py" in files
    assert commands(names, Path("x"))[0] == f"pip install -e x/srbench-{name}"
