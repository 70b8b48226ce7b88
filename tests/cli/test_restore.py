"""``srbench restore``: image files through a trained map, from the shell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

import srbench
from srbench.cli import main
from tests.python.worlds import PICTURES, TOY, one, pictures, run_here

COLOURS = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return pictures(tmp_path_factory.mktemp("pictures"), "pix,pix-rigid,bicubic")


@pytest.fixture
def restore(world, tmp_path, monkeypatch, capsys):
    """Run the command in a folder with in.png; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(COLOURS).save("in.png")

    def call(*words, label="pix"):
        capsys.readouterr()
        try:
            code = main(["restore", "--record", one(world, label).identity.key[:12], "--runs",
                         str(world.runs), "--device", "cpu", "--plugin", str(PICTURES),
                         *map(str, words)])
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return call


def test_a_file_is_what_the_map_makes_of_it(restore, world, tmp_path):
    code, out, err = restore("in.png", "out.png")
    assert (code, out) == (0, "out.png\n")
    assert "in.png: 10x8 -> 20x16 in" in err
    trained = srbench.load(one(world, "pix"), runs=world.runs, plugins=PICTURES)
    assert np.array_equal(np.array(Image.open("out.png")), np.array(trained("in.png")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "out.png"]


def test_bicubic_restores_by_its_own_definition(restore):
    assert restore("in.png", "out.png", label="bicubic")[0] == 0
    x = torch.from_numpy(COLOURS).permute(2, 0, 1)[None] / 127.5 - 1
    wanted = interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)[0]
    levels = (wanted.clamp(-1, 1) + 1).permute(1, 2, 0).numpy() * 127.5
    assert np.abs(np.array(Image.open("out.png")) - levels).max() < 0.51


def test_several_files_go_into_a_folder(restore):
    Image.fromarray(COLOURS[:4]).convert("L").save("grey.png")
    code, out, err = restore("in.png", "grey.png", "new/")
    assert (code, out) == (0, "new/in.png\nnew/grey.png\n")
    assert "[2/2] grey.png: 10x4 -> 20x8" in err
    assert "restored as RGB" in err
    code, out, _ = restore("in.png", "new", "--force")
    assert (code, out) == (0, "new/in.png\n")


def test_json_is_one_document(restore, world):
    code, out, _ = restore("in.png", "out.webp", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["method"] == "pix"
    assert document["record"] == one(world, "pix").identity.key
    image, = document["images"]
    assert (image["source"], image["target"]) == ("in.png", "out.webp")
    assert (image["from"], image["to"]) == ([10, 8], [20, 16])


def test_what_is_there_is_overwritten_only_by_force(restore):
    Image.new("RGB", (2, 2)).save("out.png")
    before = Path("out.png").read_bytes()
    code, out, err = restore("in.png", "out.png")
    assert (code, out) == (2, "")
    assert "out.png is there already" in err
    assert "--force" in err
    assert Path("out.png").read_bytes() == before
    assert restore("in.png", "out.png", "--force")[0] == 0
    assert Image.open("out.png").size == (20, 16)
    code, _, err = restore("in.png", "in.png", "--force")
    assert (code, "name another file" in err) == (2, True)


@pytest.mark.parametrize(("words", "said"), [
    (["in.png"], "where the restored image goes"), (["in.png", "out.gif"], "'.gif'"),
    (["in.png", "in.png", "new/"], "would both become"),
    (["in.png", "other.png", "in.png"], "in.png is a file"),
    ([], "Missing argument")])
def test_usage(restore, words, said):
    code, out, err = restore(*words)
    assert (code, out) == (2, "")
    assert said in err


def test_alpha_is_kept_or_refused(restore):
    image = Image.fromarray(COLOURS)
    image.putalpha(77)
    image.save("alpha.png")
    assert restore("alpha.png", "out.png")[0] == 0
    assert np.unique(np.array(Image.open("out.png"))[..., 3]) == [77]
    code, _, err = restore("alpha.png", "out.jpg")
    assert (code, "no place for the alpha" in err) == (2, True)


def test_one_bad_file_does_not_keep_the_others(restore, tmp_path):
    (tmp_path / "bad.png").write_bytes((tmp_path / "in.png").read_bytes()[:60])
    (tmp_path / "text.png").write_text("hello")
    code, out, err = restore("bad.png", "in.png", "text.png", "absent.png", "new/")
    assert (code, out) == (1, "new/in.png\n")
    assert "bad.png is damaged" in err
    assert "text.png is no image" in err
    assert "there is no image file absent.png" in err
    code, out, _ = restore("text.png", "in.png", "other/", "--json")
    assert code == 1
    assert ["error" in one for one in json.loads(out)["images"]] == [False, True]
    code, out, err = restore("text.png", "out.png")
    assert (code, out) == (1, "")
    assert err.startswith("error: text.png is no image")


def test_a_size_the_map_cannot_take(restore):
    code, _, err = restore("in.png", "out.png", label="pix-rigid")
    assert code == 2
    assert "cannot take an image of 10 x 8 pixels" in err


def test_tiles_are_said(restore, monkeypatch):
    monkeypatch.setenv("SRBENCH_TILE_PIXELS", "6400")
    Image.new("RGB", (120, 90)).save("large.png")
    code, _, err = restore("large.png", "out.png")
    assert code == 0
    assert "restored in tiles of 80 LR pixels" in err


def test_a_map_of_vectors_restores_no_image(tmp_path, monkeypatch, capsys):
    results = run_here("toy-shift[iterations=2]", "toy", metrics="l2-uvp", plugins=TOY,
                       runs=tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    assert main(["restore", "--record", results.records[0].identity.key, "in.png", "out.png",
                 "--plugin", str(TOY)]) == 2
    assert "maps vectors of 4 values, no images" in capsys.readouterr().err


def test_an_unknown_record(restore, capsys):
    capsys.readouterr()
    assert main(["restore", "--record", "zz", "in.png", "out.png"]) == 2
    assert "no cell in runs has a key that starts with 'zz'" in capsys.readouterr().err
    assert main(["restore", "in.png", "out.png"]) == 2
    assert "--record" in capsys.readouterr().err


def test_a_full_disk_leaves_nothing(restore, monkeypatch, tmp_path):
    def full(self, file, *args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    code, out, err = restore("in.png", "out.png")
    assert (code, out) == (1, "")
    assert "No space left on device" in err
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]
