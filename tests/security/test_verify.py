"""``srbench verify``: whoever changes a result leaves something that does not agree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from srbench.cli import cli
from srbench.engine.identity import key_of
from srbench.evaluation.evaluate import Evaluation
from srbench.evaluation.psnr import psnr
from srbench.files import sha256
from srbench.results.artefacts import keep_evaluation, list_artefacts
from srbench.results.store import Store
from srbench.verify import values
from srbench.verify.cells import cell_folders, check_cell, check_cells
from tests.results.factory import make_metric, make_record, make_samples

SIDE = 24


def commit(runs: Path, label: str = "ots", seed: int = 0, *, noise: float = 0.2,
           trained: bool = True, version: str = "1") -> Path:
    """A cell as its process leaves it: 10 test images, of which 8 are kept."""
    samples = {kind: torch.from_numpy(batch) for kind, batch in
               make_samples(seed, count=10, side=SIDE, noise=noise).items()}
    scores = {"psnr": psnr(samples["prediction"], samples["hr"]).tolist(),
              "ssim": np.random.default_rng(seed).uniform(size=9).tolist()}  # of nine images only
    metrics = {name: make_metric(name, float(np.mean(column)), count=len(column),
                                 interval=[-1e3, 1e3]) for name, column in scores.items()}
    metrics["psnr"].protocol = values.PSNR_PROTOCOL
    metrics["fid"] = make_metric("fid", 12.5)
    record = make_record(label, seed=seed, metrics=metrics,
                         seconds_fit=10.0 + seed / 7 if trained else 0.0)
    identity = record.identity
    parts = {"method": identity.method, "method_params": {**identity.method_params, "cap": None},
             "versions": {"torch": version}, "seed": seed, "preset": identity.preset,
             "precision": "fp32", "budget": "",
             "dataset_fingerprint": record.origin.dataset_fingerprint,
             "protocols": {name: metric.protocol for name, metric in metrics.items()}}
    identity.method_params = parts["method_params"]
    identity.key = key_of(parts)
    folder = runs / "cells" / identity.key
    folder.mkdir(parents=True)
    keep_evaluation(folder, Evaluation(
        values=record.values.final, per_image=scores, seconds_restore=0.0, seconds_measure=0.0,
        samples={kind: batch[:8] for kind, batch in samples.items()}, flags=[]))
    described = {"identity": identity.model_dump(), "origin": record.origin.model_dump(),
                 "parts": parts, "device": "cpu"}
    described["identity"]["method_params"]["cap"] = parts["method_params"]["cap"]
    (folder / "cell.json").write_text(json.dumps(described))
    (folder / "log.txt").write_text("a line\n")
    (folder / "history.parquet").write_bytes(b"losses")
    record.artefacts = list_artefacts(folder)
    Store(runs).commit(record)
    return folder


def edit(folder: Path, change, file: str = "record.json") -> None:
    document = json.loads((folder / file).read_text())
    change(document)
    (folder / file).write_text(json.dumps(document))


def forge(folder: Path, name: str) -> None:
    """Have the record list the file as it is now."""
    path = folder / name
    edit(folder, lambda record: record["artefacts"][name].update(
        sha256=sha256(path), size=path.stat().st_size))


def found(folder: Path) -> set[tuple[str, str]]:
    """File and first words of each finding."""
    return {(finding.file, finding.problem) for finding in check_cell(folder).findings}


def only(folder: Path) -> tuple[str, str]:
    finding, = found(folder)
    return finding


@pytest.fixture
def folder(tmp_path) -> Path:
    return commit(tmp_path / "runs")


def verify(runs: Path, *words: str):
    return CliRunner().invoke(cli, ["verify", "--runs", str(runs), *words])


def test_what_was_committed_is_found_to_be_so(folder):
    commit(folder.parents[1], seed=1)
    commit(folder.parents[1], "identity", trained=False)
    commit(folder.parents[1], "identity", seed=1, trained=False)
    result = verify(folder.parents[1])
    assert (result.exit_code, result.stdout) == (0, "4 of 4 cells are as committed\n")


class TestFiles:
    def test_a_changed_file_of_the_same_size(self, folder):
        (folder / "history.parquet").write_bytes(b"losseS")
        file, problem = only(folder)
        assert file == "history.parquet"
        assert problem.startswith("its SHA-256 is ")
        assert sha256(folder / file) in problem

    def test_a_longer_file(self, folder):
        (folder / "history.parquet").write_bytes(b"losses and more")
        assert only(folder) == ("history.parquet", "it has 15 bytes; the record says 6")

    def test_missing_and_extra_ones_are_listed_exactly(self, folder):
        (folder / "images" / "lr_3.png").unlink()
        (folder / "history.parquet").unlink()
        (folder / "images" / "lr_9.png").write_bytes(b"x")
        (folder / "notes.txt").write_bytes(b"x")
        assert found(folder) == {
            ("images/lr_3.png", "No such file or directory"),
            ("history.parquet", "No such file or directory"),
            ("images/lr_9.png", "the record does not list it"),
            ("notes.txt", "the record does not list it")}

    def test_a_link_to_the_right_content_is_not_followed(self, folder, tmp_path):
        shutil.move(folder / "history.parquet", tmp_path / "elsewhere")
        (folder / "history.parquet").symlink_to(tmp_path / "elsewhere")
        assert ("history.parquet", "history.parquet is a link, which is not followed") in found(
            folder)

    def test_a_path_that_leaves_the_folder(self, folder, tmp_path):
        (tmp_path / "secret").write_bytes(b"x")
        edit(folder, lambda record: record["artefacts"].update(
            {"../../secret": {"path": "../../secret", "sha256": "0", "size": 1}}))
        file, problem = only(folder)
        assert file == "record.json"
        assert problem.startswith("invalid: artefacts.../../secret.path: Value error")

    def test_files_of_a_cell_that_failed_may_be_more_than_its_record_knows(self, folder):
        (folder / "notes.txt").write_bytes(b"x")
        edit(folder, lambda record: record["outcome"].update(status="crashed"))
        assert found(folder) == set()


class TestIdentity:
    @pytest.mark.parametrize(("group", "name", "value"), [
        ("identity", "seed", 7), ("identity", "method_params", {"iterations": 9}),
        ("identity", "preset", "paper"), ("identity", "label", "ots[better]"),
        ("origin", "method_digest", "f" * 64), ("origin", "dataset_fingerprint", "e" * 64)])
    def test_a_record_that_says_something_else(self, folder, group, name, value):
        edit(folder, lambda record: record[group].update({name: value}))
        assert any(file == "record.json" and f"{group}.{name} is " in problem
                   and "cell.json has" in problem for file, problem in found(folder))

    def test_both_files_changed_do_not_fit_the_key(self, folder):
        for file in ("record.json", "cell.json"):
            edit(folder, lambda data: data["identity"].update(seed=7), file)
        assert only(folder) == ("record.json", "identity.seed is 7; its key stands for 0")

    def test_parts_changed_too_have_another_key(self, folder):
        for file in ("record.json", "cell.json"):
            edit(folder, lambda data: data["identity"].update(seed=7), file)
        edit(folder, lambda cell: cell["parts"].update(seed=7), "cell.json")
        file, problem = only(folder)
        assert file == "cell.json"
        assert problem.startswith("the parts of the identity have the key ")

    def test_a_renamed_folder(self, folder):
        other = folder.with_name("0" * 64)
        folder.rename(other)
        assert {file for file, _ in found(other)} == {"record.json", "cell.json"}

    def test_another_protocol(self, folder):
        edit(folder, lambda record: record["values"]["final"]["fid"].update(protocol="fid/v2"))
        assert only(folder) == ("record.json", 'values.final.fid.protocol is "fid/v2"; its key '
                                               'stands for "fid/v1"')

    @pytest.mark.parametrize(("content", "words"), [
        (None, "No such file"), ("{", "is not JSON"), ("{}", "no parts"),
        ('{"parts": 3}', "no parts"), ('{"parts": {}}', "have the key")])
    def test_a_cell_file_that_is_none(self, folder, content, words):
        (folder / "cell.json").unlink() if content is None else (
            folder / "cell.json").write_text(content)
        assert any(file == "cell.json" and words in problem for file, problem in found(folder))

    def test_infinite_parameters_are_no_difference(self, folder):
        def infinite(data):
            data["identity"]["method_params"]["cap"] = float("inf")
            data.get("parts", data["identity"])["method_params"]["cap"] = float("inf")

        edit(folder, infinite, "cell.json")
        parts = json.loads((folder / "cell.json").read_text())["parts"]
        moved = folder.rename(folder.with_name(key_of(parts)))
        for file in ("record.json", "cell.json"):
            edit(moved, lambda data: data["identity"].update(key=moved.name), file)
        assert found(moved) == set()


class TestValues:
    def test_an_edited_value_is_not_the_mean(self, folder):
        edit(folder, lambda record: record["values"]["final"]["psnr"].update(value=40.0))
        file, problem = only(folder)
        assert file == "record.json"
        assert problem.startswith("values.final.psnr is 40.0; the mean of per_image.parquet is ")

    def test_a_value_edited_in_its_last_digits(self, folder):
        edit(folder, lambda record: record["values"]["final"]["ssim"].update(
            value=record["values"]["final"]["ssim"]["value"] * (1 + 1e-6)))
        assert "values.final.ssim" in only(folder)[1]

    def test_a_value_outside_of_its_interval(self, folder):
        edit(folder, lambda record: record["values"]["final"]["fid"].update(
            value=5.0, interval=[11.0, 13.0]))
        assert only(folder) == ("record.json", "values.final.fid is 5.0, outside of its interval "
                                               "[11.0, 13.0]")

    def test_a_whole_forgery_of_the_values_is_told_by_the_images(self, folder):
        """Per-image values, their mean and the hashes are made to agree; the images do not."""
        table = pd.read_parquet(folder / "per_image.parquet")
        table["psnr"] += 3.0
        table.to_parquet(folder / "per_image.parquet")
        forge(folder, "per_image.parquet")
        edit(folder, lambda record: record["values"]["final"]["psnr"].update(
            value=float(np.mean(table["psnr"]))))
        problems = found(folder)
        assert {file for file, _ in problems} == {f"images/prediction_{i}.png" for i in range(8)}
        assert all("rounding to 8 bits does not explain it" in problem for _, problem in problems)

    def test_images_of_another_run_with_forged_hashes(self, folder):
        other = commit(folder.parents[1], seed=1, noise=0.6)
        for index in range(8):
            name = f"images/prediction_{index}.png"
            shutil.copy(other / name, folder / name)
            forge(folder, name)
        assert {file for file, _ in found(folder)} == {
            f"images/prediction_{i}.png" for i in range(8)}

    def test_one_pixel_of_rounding_is_explained_and_a_drawn_image_is_not(self, folder):
        path = folder / "images" / "prediction_2.png"
        pixels = np.asarray(Image.open(path)).copy()
        pixels[0, 0, 0] ^= 1
        Image.fromarray(pixels).save(path)
        forge(folder, "images/prediction_2.png")
        assert found(folder) == set()
        pixels[:8] = 0
        Image.fromarray(pixels).save(path)
        forge(folder, "images/prediction_2.png")
        assert only(folder)[0] == "images/prediction_2.png"

    @pytest.mark.parametrize(("size", "words"), [((20_000, 20_000), "claims 20000 x 20000 pixels"),
                                                 ((SIDE, SIDE + 1), "it has the shape")])
    def test_images_of_another_size(self, folder, size, words):
        path = folder / "images" / "prediction_0.png"
        if size[0] < 1000:
            Image.new("RGB", size).save(path)
        else:
            content = bytearray(path.read_bytes())
            content[16:24] = size[0].to_bytes(4) + size[1].to_bytes(4)
            path.write_bytes(bytes(content))
        forge(folder, "images/prediction_0.png")
        file, problem = only(folder)
        assert file == "images/prediction_0.png"
        assert words in problem

    @pytest.mark.parametrize("change", ["column", "rows", "file", "damage"])
    def test_per_image_values_that_are_not_there(self, folder, change):
        table = pd.read_parquet(folder / "per_image.parquet")
        if change == "column":
            table.drop(columns="ssim").to_parquet(folder / "per_image.parquet")
        elif change == "rows":
            table.assign(ssim=[np.nan, *table["ssim"][1:]]).to_parquet(folder / "per_image.parquet")
        elif change == "file":
            edit(folder, lambda record: record["values"]["final"]["ssim"].update(
                per_image="../../other#ssim"))
        else:
            (folder / "per_image.parquet").write_bytes(b"PAR1 nothing PAR1")
        forge(folder, "per_image.parquet")
        words = {"column": "no column for ssim", "rows": "column ssim has 8 values; the record ",
                 "file": "names '../../other#ssim'", "damage": "is no parquet file"}[change]
        assert any(file == "per_image.parquet" and words in problem
                   for file, problem in found(folder))

    def test_what_is_out_of_its_reach_is_said(self):
        """An FID is in no file beside the record."""
        from srbench.verify import cells
        assert "FID" in cells.__doc__


class TestCopies:
    def test_values_of_another_seed(self, folder):
        """Seed 1 is seed 0 under another name, with a key that fits."""
        runs = folder.parents[1]
        other = commit(runs, seed=1)
        for name in ("per_image.parquet", *(f"images/{kind}_{i}.png" for i in range(8)
                                            for kind in ("lr", "prediction", "hr"))):
            shutil.copy(folder / name, other / name)
            forge(other, name)
        first = json.loads((folder / "record.json").read_text())
        edit(other, lambda record: record.update(values=first["values"]))
        checked = {cell.key: cell for cell in check_cells(cell_folders(runs))}
        for mine, its, seed in ((folder, other, 1), (other, folder, 0)):
            finding, = checked[mine.name].findings
            assert finding.file == "record.json"
            assert finding.problem == (f"it has the same values of every image as "
                                       f"{its.name[:12]} (ots on w2-early, seed {seed})")

    def test_a_copied_clock(self, folder):
        other = commit(folder.parents[1], seed=1)
        edit(other, lambda record: record["cost"].update(seconds_fit=10.0))
        result = verify(folder.parents[1])
        assert result.exit_code == 3
        assert result.stdout.count("it has the same seconds of training as") == 2

    def test_a_cell_under_two_names(self, folder):
        shutil.copytree(folder, folder.with_name("0" * 64))
        problems = [finding.problem for cell in check_cells(cell_folders(folder.parents[1]))
                    for finding in cell.findings]
        assert sum(problem.startswith("it has the same key as") for problem in problems) == 2

    def test_one_seed_of_two_versions_of_the_code_may_agree(self, folder):
        other = commit(folder.parents[1], version="2")
        edit(other, lambda record: record["cost"].update(seconds_fit=11.0))
        assert verify(folder.parents[1]).exit_code == 0


class TestCommand:
    def test_each_line_names_cell_file_and_value(self, folder):
        edit(folder, lambda record: record["values"]["final"]["psnr"].update(value=40.0))
        result = verify(folder.parents[1])
        assert result.exit_code == 3
        header, line, _, last = result.stdout.splitlines()
        assert header.split() == ["cell", "method", "file", "what", "is", "wrong"]
        assert line.startswith(f"{folder.name[:12]}  ots on w2-early, seed 0  record.json")
        assert "values.final.psnr is 40.0" in line
        assert last == "0 of 1 cells are as committed; 1 not"

    def test_json(self, folder):
        (folder / "notes").write_text("x")
        commit(folder.parents[1], seed=1)
        result = verify(folder.parents[1], "--json")
        document = json.loads(result.stdout)
        assert result.exit_code == 3
        assert (document["verified"], document["bad"]) == (2, 1)
        by_key = {cell["key"]: cell["findings"] for cell in document["cells"]}
        assert by_key[folder.name] == [{"file": "notes", "problem": "the record does not list it"}]

    def test_chosen_by_the_beginning_of_the_key(self, folder):
        other = commit(folder.parents[1], seed=1)
        (other / "notes").write_text("x")
        assert verify(folder.parents[1], folder.name[:10]).exit_code == 0
        assert verify(folder.parents[1], other.name[:10]).exit_code == 3
        assert verify(folder.parents[1], folder.name, other.name).exit_code == 3

    @pytest.mark.parametrize("prefix", ["zz", "", "../x", "*"])
    def test_no_such_cell_is_wrong_usage(self, folder, prefix):
        result = verify(folder.parents[1], prefix)
        assert "0 cells" in str(result.exception)

    @pytest.mark.parametrize("made", [True, False])
    def test_nothing_there_is_exit_code_4(self, tmp_path, made):
        if made:
            (tmp_path / "runs" / "cells" / "started").mkdir(parents=True)  # no record yet
        assert verify(tmp_path / "runs").exit_code == 4

    def test_records_that_cannot_be_read(self, folder):
        (folder / "record.json").write_text("{")
        folder.with_name("pipe").mkdir()
        os.mkfifo(folder.with_name("pipe") / "record.json")
        result = verify(folder.parents[1])
        assert result.exit_code == 3
        assert "invalid: record.json is not JSON" in result.stdout
        assert "invalid: record.json is no regular file" in result.stdout

    def test_nothing_is_changed(self, folder):
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        verify(folder.parents[1])
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_run_and_what_becomes_of_it(tmp_path):
    """From the command line to the record and back, with a method that trains."""
    plugin = Path(__file__).resolve().parents[1] / "toy_plugin.py"

    words = ["run", "--plugin", str(plugin), "--methods", "toy-shift", "--dataset", "toy",
             "--threads", "1", "--budget", "5it"]
    done = subprocess.run([sys.executable, "-m", "srbench", *words], cwd=tmp_path, check=False,
                          capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    result = verify(tmp_path / "runs")
    assert (result.exit_code, result.stdout) == (0, "1 of 1 cells are as committed\n")
    record = next(tmp_path.glob("runs/cells/*/record.json"))
    text = record.read_text()
    record.write_text(text.replace('"seed": ', '"seed": 4', 1))
    result = verify(tmp_path / "runs")
    assert result.exit_code == 3
    assert "identity.seed is 4" in result.stdout
