"""`srbench.load`: the map of a record is the one that was evaluated, or it is refused."""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import srbench
from srbench.errors import CorruptFile, PluginError, StoreError, UnknownName, UsageError
from srbench.evaluation.evaluate import evaluate
from srbench.registry.catalog import discover
from srbench.results.samples import to_bytes
from tests.python.worlds import PICTURES, TOY, copied, one, pictures, run_here

LABELS = ("pix", "pix-rigid", "pix-still", "bicubic")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(autouse=True)
def single_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def load(world, label="pix", **options):
    return srbench.load(one(world, label), runs=world.runs, **{"plugins": PICTURES, **options})


@pytest.mark.parametrize("label", LABELS)
def test_a_loaded_map_gives_the_metrics_and_images_of_its_record(world, label):
    trained, record = load(world, label), one(world, label)
    catalog = discover([PICTURES])
    trained.dataset.prepare(trained.device)
    again = evaluate(trained.method, trained.dataset,
                     {name: catalog.metric(name) for name in ("psnr", "ssim")},
                     device=trained.device)
    for name, value in record.values.final.items():
        assert again.values[name].value == value.value, name
    lr, _ = next(iter(trained.dataset.test_batches(64)))
    assert torch.equal(trained(lr)[:12], again.samples["prediction"])
    kept = [np.array(Image.open(world.runs / "cells" / record.identity.key / "images"
                                / f"prediction_{index}.png")) for index in range(12)]
    assert np.array_equal(to_bytes(trained(lr)[:12]), np.stack(kept))


def test_calling_a_map_changes_nothing(world):
    trained = load(world)
    before = {name: value.clone() for name, value in trained.method.state_dict().items()}
    x = torch.rand(5, 3, 12, 9)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    first = trained(x)
    assert torch.equal(first, trained(x))  # no dropout, BatchNorm of training
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])
    for name, value in trained.method.state_dict().items():
        assert torch.equal(value, before[name])
    assert not first.requires_grad
    assert not trained.method.training


def test_loading_leaves_the_random_state_alone(world):
    torch.manual_seed(5)
    random.seed(5)
    wanted = torch.rand(3), random.random()
    torch.manual_seed(5)
    random.seed(5)
    load(world)
    assert torch.equal(torch.rand(3), wanted[0])
    assert random.random() == wanted[1]


def test_shapes_and_kinds_of_what_a_map_takes(world, tmp_path):
    trained = load(world)
    x = torch.rand(2, 3, 8, 8) * 2 - 1
    assert trained(x).shape == (2, 3, 16, 16)
    assert torch.allclose(trained(x[0]), trained(x)[0], atol=1e-6)
    assert trained(x[0]).shape == (3, 16, 16)
    assert trained(x.double()).dtype == torch.float32
    image = Image.fromarray(to_bytes(x)[0])
    image.save(tmp_path / "in.png")
    restored = trained(tmp_path / "in.png")
    assert restored.size == (16, 16)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 127.5 - 1
    assert np.array_equal(np.array(restored), to_bytes(trained(pixels)[None])[0])
    assert np.array_equal(np.array(trained(image)), np.array(restored))
    assert np.array_equal(np.array(trained(str(tmp_path / "in.png"))), np.array(restored))
    assert "pix on pixels, seed 0" in repr(trained)


@pytest.mark.parametrize(("x", "words"), [
    (torch.zeros(2, 1, 8, 8), "(2, 1, 8, 8)"), (torch.zeros(8, 8), "(N, 3, h, w)"),
    (torch.zeros(0, 3, 8, 8), "(0, 3, 8, 8)"),
    (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "bytes / 127.5 - 1")])
def test_other_tensors_are_refused(world, x, words):
    with pytest.raises(UsageError) as told:
        load(world)(x)
    assert words in str(told.value)


def test_many_images_are_mapped_in_the_batches_of_an_evaluation(world):
    trained, x = load(world), torch.rand(70, 3, 8, 8)
    sizes = []
    trained.method.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    assert trained(x).shape == (70, 3, 16, 16)
    assert sizes == [64, 6]


def test_large_images_are_restored_in_tiles_and_are_the_same(world, monkeypatch):
    trained, x = load(world), torch.rand(1, 3, 130, 150)
    whole = trained(x)
    assert trained.notes == []
    monkeypatch.setenv("SRBENCH_TILE_PIXELS", str(96 * 96))
    tiled = load(world)
    assert torch.allclose(tiled(x), whole, atol=1e-6)  # 3 pixels of reach, 32 of overlap
    assert tiled.notes == ["1 of 1 images were restored in tiles of 96 LR pixels with 32 pixels of "
                           "overlap"]


def test_a_size_that_a_method_cannot_take_is_said(world):
    trained = load(world, "pix-rigid")
    assert trained(torch.rand(1, 3, 8, 8)).shape == (1, 3, 16, 16)
    with pytest.raises(UsageError, match="cannot take an image of 20 x 10 pixels") as told:
        trained(torch.rand(1, 3, 10, 20))
    assert "8 x 8" in told.value.hint


def test_the_oracle_is_another_map_where_it_was_chosen_earlier(tmp_path):
    results = run_here("pix[iterations=40]", "pixels", metrics="psnr", plugins=PICTURES,
                       runs=tmp_path / "runs")
    record, = results.records
    trained = srbench.load(record, runs=results.runs, oracle=True, plugins=PICTURES)
    assert "oracle at step" in repr(trained)
    catalog = discover([PICTURES])
    trained.dataset.prepare(trained.device)
    again = evaluate(trained.method, trained.dataset, {"psnr": catalog.metric("psnr")},
                     device=trained.device)
    assert again.values["psnr"].value == record.values.oracle["psnr"].value
    last = srbench.load(record, runs=results.runs, plugins=[PICTURES])
    same = all(torch.equal(a, b) for a, b in zip(last.method.parameters(),
                                                 trained.method.parameters(), strict=True))
    assert same == (record.values.oracle_step == 40)


def test_no_oracle_without_a_step(world):
    with pytest.raises(StoreError, match="no training step"):
        load(world, "pix-still", oracle=True)


def test_keys_folders_and_record_files_name_a_cell(world, tmp_path):
    record = one(world, "pix")
    key, folder = record.identity.key, world.runs / "cells" / record.identity.key
    for name in (key, key[:12], folder, str(folder), folder / "record.json"):
        assert srbench.load(name, runs=world.runs, plugins=PICTURES).record == record
    for name, words in (("", "no record.json"), ("zzz", "no cell"), ("no/such", "no record.json"),
                        (Path("nowhere"), "no record.json")):
        with pytest.raises(UsageError, match=words):
            srbench.load(name, runs=world.runs)
    runs = copied(world, tmp_path)
    shutil.copytree(folder, runs / "cells" / f"{key[:8]}0")
    with pytest.raises(UsageError, match=r"2 cells in .* start") as told:
        srbench.load(key[:8], runs=runs)
    assert key[:14] in told.value.hint


def test_vectors(tmp_path):
    results = run_here("toy-shift[iterations=30]", "toy", metrics="l2-uvp", plugins=TOY,
                       runs=tmp_path / "runs")
    trained = srbench.load(results.records[0], runs=results.runs, plugins=TOY)
    x = torch.zeros(3, 4)
    assert torch.allclose(trained(x), trained.method.offset.expand(3, 4))
    assert trained(x[0]).shape == (4,)
    for wrong in (torch.zeros(3, 5), torch.zeros(3, 3, 8, 8)):
        with pytest.raises(UsageError, match=r"\(N, 4\)"):
            trained(wrong)
    with pytest.raises(UsageError, match="maps vectors of 4 values, no images"):
        trained("in.png")


def spoil(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def removed(folder):
    shutil.rmtree(folder / "checkpoint")


def torn(folder):
    spoil(next(folder.glob("checkpoint/*/tensors.safetensors")))


def replaced(folder):
    path = next(folder.glob("checkpoint/*/manifest.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "more": 1}))


def linked(folder):
    manifest = next(folder.glob("checkpoint/*/manifest.json"))
    manifest.rename(folder.parent / "elsewhere.json")
    manifest.symlink_to(folder.parent / "elsewhere.json")


def published(folder):
    for path in (folder / "checkpoint", folder / "cell.json"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(("damage", "words"), [
    (removed, "has no checkpoint"), (linked, "has no checkpoint"), (torn, "torn or altered"),
    (replaced, "not the one that the record"), (published, "published records and records alone")])
def test_a_map_that_is_not_the_records_is_refused_with_the_remedy(world, tmp_path, damage, words):
    runs = copied(world, tmp_path)
    record = one(world, "pix")
    damage(runs / "cells" / record.identity.key)
    with pytest.raises(StoreError, match=words) as told:
        srbench.load(record, runs=runs, plugins=PICTURES)
    assert "srbench run --methods pix --dataset pixels --seeds 0" in told.value.hint


def test_weights_that_do_not_fit_the_installed_code(world, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "picture_plugin", raising=False)
    wider = tmp_path / "picture_plugin.py"
    wider.write_text(PICTURES.read_text().replace("nn.BatchNorm2d(3)",
                                                  "nn.BatchNorm2d(3, affine=False)"))
    with pytest.raises(StoreError, match="do not fit") as told:
        load(world, plugins=wider)
    assert "norm.weight" in told.value.message


def test_changed_code_is_a_warning(world, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "picture_plugin", raising=False)
    other = tmp_path / "picture_plugin.py"
    other.write_text(PICTURES.read_text().replace("lr=0.01", "lr=0.02"))
    with pytest.warns(UserWarning, match="the code of pix changed"):
        load(world, plugins=other)


def test_a_plugin_file_is_only_run_if_the_caller_names_it(world, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "picture_plugin", raising=False)
    with pytest.raises(UnknownName, match="no method named 'pix'") as told:
        srbench.load(one(world, "pix"), runs=world.runs)
    assert f"plugins=..., or --plugin; the cell ran with {PICTURES}" in told.value.hint
    assert "picture_plugin" not in sys.modules


def test_a_plugin_that_is_broken_is_named(world, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "picture_plugin", raising=False)
    broken = tmp_path / "picture_plugin.py"
    broken.write_text("import no_such_package\n")
    with pytest.raises(UnknownName, match="broken plugins may provide more: file:"):
        load(world, plugins=broken)


def test_a_cell_that_is_not_ok(tmp_path):
    results = run_here("toy-raise", "toy", metrics="l2-uvp", plugins=TOY, runs=tmp_path / "runs")
    with pytest.raises(StoreError, match="is failed: RuntimeError: the toy is broken"):
        srbench.load(results.records[0], runs=results.runs)


def test_files_that_are_no_images(world, tmp_path):
    (tmp_path / "in.png").write_text("nothing")
    with pytest.raises(CorruptFile, match="no image"):
        load(world)(tmp_path / "in.png")
    assert not issubclass(CorruptFile, PluginError)
