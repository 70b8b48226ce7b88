"""The definitions in ``leaderboards/`` and the one in the docs."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from srbench.boards.definition import load_definition, load_definitions
from srbench.registry.catalog import discover
from srbench.spec import expand, parse_specs

ROOT = Path(__file__).resolve().parents[2]
BOARDS = {board.name: board for board in load_definitions(ROOT / "leaderboards")}
MIX = "mix3tomix10[dim={}]"


def test_the_five_boards():
    assert set(BOARDS) == {"w2-early", "w2-early@embedded", "mix3tomix10", "aim19",
                           "aim19@embedded"}


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_every_metric_is_one_of_ours(name):
    board, known = BOARDS[name], discover([]).metrics
    assert set(board.columns) <= set(known)
    assert {value.metric for value in board.published} <= set(known)
    assert board.columns[0] in {value.metric for value in board.published} or not board.published


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_the_command_makes_the_boards_records(name):
    board, catalog = BOARDS[name], discover([])
    words = shlex.split(board.command)
    assert words[:2] == ["srbench", "run"]
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert options.get("--preset", "quick") == board.preset
    labels = {str(one) for spec in parse_specs([options["--methods"]])
              for one in expand(spec, catalog.methods[spec.name].info.sweep)}
    ours = {value.label for value in board.published} - {"MM", "MMv1", "W2", "QC"}
    assert ours <= labels
    assert not board.reference or board.reference in labels
    for spec in parse_specs([options["--dataset"]]):
        given = {key: value for key, value in spec.given.items() if key != "source"}
        shown = spec.name + "".join(f"[{key}={value}]" for key, value in given.items())
        assert {shown, f"{shown}@embedded"} & set(board.datasets)


def test_boards_of_stand_ins_compare_with_nothing_published():
    for name, board in BOARDS.items():
        if name.endswith("@embedded"):
            assert board.published == ()
            assert "compare with no published one" in board.summary
            assert board.source == "embedded"


def test_published_values_are_those_of_the_papers(shared):
    data = json.loads((shared / "published_results.json").read_text())
    ours = {(name, value.label, value.metric, value.dataset): value.value
            for name, board in BOARDS.items() for value in board.published}
    early, aim, mix = (data[key] for key in ("table2_w2_early", "table3_aim19",
                                             "mix3tomix10_forward_l2_uvp_percent"))
    theirs = {}
    for metric, key in (("l2-uvp-official", "l2_uvp_percent"), ("fid", "fid"),
                        ("psnr", "psnr_db"), ("ssim", "ssim"), ("lpips", "lpips")):
        for label, value in zip(early["columns"], early[key], strict=True):
            method, _, rest = label.rstrip("]").partition("[")
            full = f"{method}[{rest + ',' if rest else ''}pretrained=official]"
            theirs["w2-early", full, metric, "w2-early"] = value
    for metric, key in (("patch-fid", "fid"), ("psnr", "psnr_db"), ("ssim", "ssim"),
                        ("lpips", "lpips")):
        for label, value in zip(aim["rows"], aim[key], strict=True):
            theirs["aim19", label, metric, "aim19"] = value
    for solver in ("MMv1", "MM", "MM:R", "W2", "QC", "linear", "constant", "identity"):
        for dim, value in zip(mix["dims"][:4], mix[solver], strict=False):
            theirs["mix3tomix10", "ots" if solver == "MM:R" else solver, "l2-uvp",
                   MIX.format(dim)] = value
    assert ours == theirs


def test_tolerances_are_small_beside_the_values():
    for board in BOARDS.values():
        for value in board.published:
            assert 0 < value.tolerance <= max(0.2 * value.value, 0.2), value


def test_the_docs_hold_a_definition_and_a_workflow(tmp_path):
    text = (ROOT / "docs" / "leaderboards.md").read_text(encoding="utf-8")
    first, second = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    path = Path(tmp_path / "docs.toml")
    path.write_text(first)
    board = load_definition(path)
    assert board.scenes == 6
    assert board.published[0].tolerance == 0.2
    path.write_text(re.sub(r"^datasets.*$", lambda _: second, first, flags=re.MULTILINE).replace(
        'label = "ots"', 'label = "ots"\ndataset = "mix3tomix10[dim=2]"'))
    assert load_definition(path).rank == "mix3tomix10[dim=16]"
    yaml = pytest.importorskip("yaml")
    workflow, = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    steps = yaml.safe_load(workflow)["jobs"]["pages"]["steps"]
    runs = [step.get("run", "") for step in steps]
    assert sum(run.startswith("srbench board build --definitions") for run in runs) == 2
