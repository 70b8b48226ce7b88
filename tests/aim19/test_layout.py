"""Where a copy is found, and what is said where none is."""

from __future__ import annotations

import os

import numpy as np
import pytest

from srbench.errors import DataError
from srbench.files import cache_dir
from srbench_aim19.layout import (
    PARTS,
    check_counts,
    check_pairs,
    list_images,
    locate,
    look,
    official_folder,
)
from tests.aim19.conftest import LAYOUTS, ROLES, SHAPES, make_copy, opened, picture


def test_the_four_sets_are_those_of_the_challenge():
    assert tuple(PARTS) == ROLES
    assert [part.count for part in PARTS.values()] == [2650, 800, 100, 100]
    for position, layout in enumerate(LAYOUTS.values()):
        assert tuple(part.folders[position] for part in PARTS.values()) == layout


@pytest.mark.parametrize("below", ["", "any"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_data_set(tmp_path, layout, below):
    copy = make_copy(tmp_path / "copy", layout, below)
    dataset = copy.open()
    assert (dataset.source, dataset.title) == ("partial", "aim19@partial")
    assert dataset.fingerprint() == make_copy(tmp_path / "other").open().fingerprint()
    for role, images in copy.pixels.items():
        store = dataset._images.stores[role]
        assert store.names == tuple(sorted(images)) == tuple(SHAPES[role])
        assert all(np.array_equal(found, images[name])
                   for found, name in zip(store, store.names, strict=True))


def test_layouts_may_be_mixed(tmp_path):
    copy = make_copy(tmp_path / "copy")
    before = copy.open().fingerprint()
    (copy.root / "valid-gt-clean").rename(copy.root / "val_hr")
    assert copy.open().fingerprint() == before


@pytest.mark.parametrize("depth", [".", ".."])
def test_root_is_the_folder_or_the_one_above(tmp_path, depth):
    make_copy(tmp_path / "data" / "AIM19")
    assert opened(root=str(tmp_path / "data" / "AIM19" / depth), complete=False).source == "partial"


def test_a_relative_root_is_settled_for_the_cell(copy, monkeypatch):
    monkeypatch.chdir(copy.root.parent)
    dataset = opened(root="copy", complete=False)
    assert dataset.params.root == str(copy.root)
    assert dataset.params.source == "official"


@pytest.mark.parametrize("where", ["folder", "below"])
def test_found_in_the_data_folders(tmp_path, monkeypatch, where):
    copy = make_copy(tmp_path / "data" / "copy")
    folder = copy.root if where == "folder" else copy.root.parent
    monkeypatch.setenv("SRBENCH_DATA", os.pathsep.join([str(tmp_path / "no"), str(folder)]))
    dataset = opened(complete=False)
    assert (dataset.source, dataset.params.root) == ("partial", "")


def test_found_where_the_archives_are_unpacked():
    make_copy(official_folder())
    assert official_folder().is_relative_to(cache_dir())
    assert opened(complete=False).source == "partial"


def test_absence_says_what_was_found_and_what_was_expected(copy):
    (copy.root / "valid-gt-clean").rename(copy.root / "ground-truth")
    with pytest.raises(DataError) as caught:
        copy.open()
    message = caught.value.message
    assert f"{copy.root} holds ground-truth, train-clean-images, train-noisy-images" in message
    assert "LR training images: train-noisy-images; " in message
    assert "HR validation images: missing" in message
    assert "HR validation images in valid-gt-clean, val_hr or DIV2K_valid_HR" in message
    assert "aim19.root=DIR" in caught.value.hint


@pytest.mark.parametrize(("given", "message"), [
    ({"root": "/no/such/folder"}, "/no/such/folder is no folder; expected: LR training"),
    ({"source": "official"}, "neither SRBENCH_DATA nor the cache holds a copy; expected"),
])
def test_what_was_asked_for_is_not_replaced(given, message):
    with pytest.raises(DataError, match=message) as caught:
        opened(**given)
    assert "srbench fetch aim19" in caught.value.hint


def test_an_incomplete_data_folder_is_described(tmp_path, monkeypatch):
    (tmp_path / "train_noisy").mkdir()
    monkeypatch.setenv("SRBENCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"LR training images: train_noisy; HR training images: mi"):
        opened(source="official")
    stand_in = opened()
    assert stand_in.source == "embedded"
    assert stand_in.notice.startswith(
        "aim19: the copy on this machine lacks the HR training images, LR validation images, HR "
        "validation images; aim19@embedded is the EMBEDDED")


def test_one_set_under_two_names(copy):
    (copy.root / "train_noisy").mkdir()
    with pytest.raises(DataError, match="under two names: train-noisy-images and train_noisy"):
        look(copy.root)


def test_an_empty_set(copy):
    for path in copy.folder("hr").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="train-clean-images holds no image"):
        copy.open()


def test_hidden_files_and_texts_are_no_images(copy):
    before = copy.open().fingerprint()
    for name in (".DS_Store", "._000001.png", ".hidden.png", "readme.txt", "Thumbs.db"):
        (copy.folder("lr") / name).write_bytes(b"x")
    for name in (".cache", "__MACOSX"):
        (copy.folder("lr") / name).mkdir()
        (copy.folder("lr") / name / "000001.png").write_bytes(b"x")
    assert copy.open().fingerprint() == before


def test_two_images_of_one_name(copy):
    (copy.folder("lr") / "more").mkdir()
    (copy.folder("lr") / "more" / "000002.PNG").write_bytes(copy.path("lr", "000002").read_bytes())
    with pytest.raises(DataError, match="two LR training images have the name 000002"):
        copy.open()


def test_deeper_folders_do_not_count(copy):
    before = copy.open().fingerprint()
    deep = copy.folder("lr") / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "000099.png").write_bytes(copy.path("lr", "000002").read_bytes())
    assert copy.open().fingerprint() == before


def test_counts_are_required_of_a_complete_copy(copy):
    with pytest.raises(DataError) as caught:
        opened(root=str(copy.root))
    for name, count, expected in (("train-noisy-images", 3, 2650), ("train-clean-images", 4, 800),
                                  ("valid-input-noisy", 2, 100), ("valid-gt-clean", 2, 100)):
        assert f"{name} holds {count} " in caught.value.message
        assert f"the complete set has {expected}" in caught.value.message
    assert "aim19.complete=false" in caught.value.hint
    assert not (cache_dir() / "aim19").exists()  # found out before anything is decoded


def test_the_right_counts_pass(copy, monkeypatch):
    for role, part in PARTS.items():
        monkeypatch.setitem(PARTS, role, type(part)(
            what=part.what, folders=part.folders, count=len(SHAPES[role]), least=part.least))
    found = locate(str(copy.root))
    assert found is not None
    check_counts(list_images(*found))


def test_validation_images_without_partner(copy):
    copy.path("lr-test", "0802").rename(copy.path("lr-test", "0802x4"))
    copy.put("hr-test", "0900", picture((128, 128), 99))
    with pytest.raises(DataError, match="3 validation images have no partner of the same name: "
                                        "LR without HR: 0802x4; HR without LR: 0802, 0900"):
        copy.open()


def test_the_listing_changes_with_every_file(copy):
    def digest() -> str:
        found = locate(str(copy.root))
        assert found is not None
        listing = list_images(*found)
        check_pairs(listing)
        return listing.digest

    first = digest()
    assert digest() == first
    os.utime(copy.path("lr", "000002"), (1, 1))
    second = digest()
    copy.put("hr", "0005", picture((130, 130), 98))
    assert len({first, second, digest()}) == 3
