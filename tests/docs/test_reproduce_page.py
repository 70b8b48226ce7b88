"""Figures, hashes, settings and commands of docs/reproduce.md are those that srbench works with."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from srbench.registry.catalog import discover

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reproduce.md").read_text(encoding="utf-8")
# Columns of the page's tables, and the metrics they stand beside on the boards.
COLUMNS = {"w2-early": {"L2-UVP %": "l2-uvp-official", "FID": "fid", "PSNR dB": "psnr",
                        "SSIM": "ssim", "LPIPS": "lpips"},
           "aim19": {"FID": "patch-fid", "PSNR dB": "psnr", "SSIM": "ssim", "LPIPS": "lpips"}}
HEADS = {"w2-early": "| method | L2-UVP %", "aim19": "| method | FID"}


def table(first):
    """Rows of the table whose head begins with these words, as dicts."""
    lines = PAGE[PAGE.index(first):].split("\n\n")[0].splitlines()
    head, _, *body = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return [dict(zip(head, row, strict=True)) for row in body]


def defined(board):
    path = ROOT / "leaderboards" / f"{board}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("board", COLUMNS)
def test_expected_figures_are_those_of_the_boards(board):
    rows = table(HEADS[board])
    shown = {(row["method"], metric): float(row[column])
             for row in rows for column, metric in COLUMNS[board].items()}
    published = {(re.sub(r",?pretrained=official|\[pretrained=official\]", "", one["label"]),
                  one["metric"]): one["value"] for one in defined(board)["published"]}
    assert shown == published


@pytest.mark.parametrize("board", COLUMNS)
def test_the_command_of_the_board_is_on_the_page(board):
    assert defined(board)["command"] in PAGE


def test_hashes_of_files():
    found = {}
    for manifest in (ROOT / "plugins").glob("srbench_*/official_files.json"):
        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        found |= {path: blob for path, blob in files.items() if blob}
    rows = table("| file | for | MB")
    for row in rows:
        name, blob = row["file"].strip("`"), row["git blob SHA-1"].strip("`")
        assert [blob] == [one for path, one in found.items()
                          if path == name or path.endswith(f"/{name}")], name
    named = {row["file"].strip("`").rpartition("/")[2] for row in rows}
    needed = {path.rpartition("/")[2] for path in found
              if path.startswith(("benchmark/", "state_dicts/"))}
    assert named == needed | {"Final_G.pt", "Early_v1.pt", "Early_v2.pt"}


def test_settings_of_the_presets():
    ots, wgan = (discover().method(name).load().Params for name in ("ots", "wgan-gp"))
    rows = {row[""]: row for row in table("| | paper | released code | preset")}
    for row, kind, key in (("OTS: steps of f", ots, "iterations"),
                           ("OTS: steps of T for each", ots, "inner_steps"),
                           ("WGAN-GP: steps of T", wgan, "iterations"),
                           ("WGAN-GP: critic steps for each", wgan, "critic_steps"),
                           ("UNet base", ots, "unet_base"), ("UNet base", wgan, "unet_base")):
        for preset in ("paper", "code"):
            shown = int(rows[row][f"preset `{preset}`"].replace(",", ""))
            assert shown == kind.presets[preset].get(key, kind().model_dump()[key]), (row, preset)


def test_pages_and_files_it_names_are_there():
    for path in re.findall(r"\]\((?!https?:)([^)#]+)", PAGE):
        assert (ROOT / "docs" / path).exists(), path
