"""The plane and the lambda path: numbers drawn, findings said, what a page must not hold."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import altair
import pytest

from srbench.boards.charts import path, scatter
from srbench.boards.charts.look import COLOURS, INK, MUTED, looks
from srbench.boards.charts.scatter import pareto
from srbench.boards.charts.svg import clean
from srbench.boards.markup import script_json
from srbench.boards.theory import interpolation_l2_uvp, w1_l2_uvp_bound
from tests.boards.chart_boards import (
    HOSTILE,
    IDENTITY,
    LAMBDAS,
    TABLE_2,
    board,
    column,
    complaints,
    entry,
    layers,
    paper_board,
    parameters,
    row,
    swept,
    texts,
    values,
)
from tests.results.factory import make_record

SVG = 'xmlns="http://www.w3.org/2000/svg"'


def record(**facts):
    made = make_record(title="w2-early", dataset_params={"size": 64})
    made.facts.update({"hr_variance": 3600.0, **facts})
    return made


@pytest.fixture(scope="module")
def plane():
    return scatter(paper_board())


@pytest.fixture(scope="module")
def along():
    return path(paper_board(records=[record()]))


def points(chart):
    """Marks with a tooltip: one for each row."""
    return values(chart, "point", "tip")


# --- The plane


def test_the_plane_shows_each_rows_numbers(plane):
    found = {value["label"]: (value["x"], value["y"]) for value in points(plane)}
    for index, lam in enumerate(LAMBDAS):
        expected = (TABLE_2["l2-uvp"][index], TABLE_2["fid"][index])
        assert found[f"wgan-gp[lambda={lam:g}]"] == pytest.approx(expected)
    assert found["ots"] == (1.4, 15.65)
    assert found["identity"] == (30.6, 335)
    assert len(found) == 10


def test_bars_are_the_intervals(plane):
    across = [value for value in values(plane, "rule", "x2") if "y2" not in value]
    bar = next(value for value in across if value["label"] == "wgan-gp[lambda=100]")
    assert (bar["x"], bar["x2"]) == pytest.approx((3.8, 4.2))
    upright = next(value for value in values(plane, "rule", "y2") if value["label"] == "ots")
    assert (upright["y"], upright["y2"]) == pytest.approx((15.65 * 0.95, 15.65 * 1.05), rel=1e-4)
    assert "Bars: 95 % interval." in plane.description


def test_up_and_right_is_better(plane):
    zoom, = plane.spec["usermeta"]["srbench"]["zoom"]
    assert zoom["x"]["reverse"]
    assert zoom["y"]["reverse"]
    chart = scatter(paper_board(), x="psnr")
    zoom, = chart.spec["usermeta"]["srbench"]["zoom"]
    assert not zoom["x"]["reverse"]
    assert "PSNR, dB  ·  better →" in texts(chart)
    assert "↑ better  ·  FID" in texts(chart)


def test_an_axis_is_logarithmic_from_a_decade_and_a_half():
    rows = [row("a", entry(1.0), entry(10.0)), row("b", entry(40.0), entry(300.0))]
    chart = scatter(board(rows, [column("l2-uvp"), column("fid")]))
    zoom, = chart.spec["usermeta"]["srbench"]["zoom"]
    assert zoom["x"]["log"]
    assert not zoom["y"]["log"]
    assert "L2-UVP, % (log)  ·  better →" in texts(chart)


def test_pareto_points_are_those_that_none_beats():
    assert pareto([(1, 5), (2, 2), (5, 1), (3, 3), (2, 2)]) == [True, True, True, False, True]
    assert pareto([(1, 1), (1, 2), (2, 1)]) == [True, False, False]
    assert pareto([]) == []


def test_pareto_points_are_ringed():
    rows = [row("a", entry(1.0), entry(30.0)), row("b", entry(2.0), entry(20.0)),
            row("c", entry(3.0), entry(25.0))]
    chart = scatter(board(rows, [column("l2-uvp"), column("fid")]))
    rings = [data for kind, encoding, data in layers(chart)
             if kind == "point" and encoding.get("color") == {"value": INK}]
    assert [[value["label"] for value in ring] for ring in rings] == [["a", "b"]]
    assert [line[-1] for line in chart.table[1:]] == ["no", "no", "yes"]
    assert "a (1.0 %) is best in L2-UVP, b (20.0) in FID" in chart.description
    assert "ringed in both: a and b" in chart.description


def test_a_metric_that_is_better_when_higher_counts_so():
    rows = [row("a", entry(1.0), entry(30.0), entry(10.0)),
            row("b", entry(1.0), entry(20.0), entry(20.0))]
    columns = [column("l2-uvp"), column("fid"), column("psnr")]
    chart = scatter(board(rows, columns), x="psnr")
    assert chart.description.startswith("b is best in both PSNR and FID")


def test_each_sweep_is_one_line_in_the_order_of_its_parameter(plane):
    line = values(plane, "line", "order")
    assert [value["x"] for value in line] == list(TABLE_2["l2-uvp"][:8])
    assert len({value["color"] for value in line}) == 1


def test_a_sweep_is_labelled_at_its_ends_and_its_best(plane):
    named = texts(plane)
    for text in ("wgan-gp λ=0", "wgan-gp λ=10⁵", "λ=100, best by oracle",
                 "λ=10, best by validation", "ots", "identity"):
        assert text in named
    assert not any("10³" in text for text in named)


def test_methods_differ_in_colour_and_in_shape():
    rows = [row(f"m{index}", entry(1.0 + index), entry(1.0)) for index in range(6)]
    made = board([*rows, row("bicubic", entry(9.0), entry(1.0))], [column(), column("fid")])
    styles = looks(made)
    assert len({styles[f"m{index}"].colour for index in range(6)}) == 6
    assert len({style.shape for style in styles.values()}) == 7
    assert styles["bicubic"].colour == MUTED
    drawn = {value["label"]: (value["color"], value["shape"]) for value in points(scatter(made))}
    assert drawn["m1"] == (COLOURS[1], "square")


def test_published_values_are_hollow_and_tied_to_ours():
    rows = [row("ots", entry(2.0, published=1.4), entry(17.0, published=15.65)),
            row("dasr", entry(8.0, published=7.0), entry(40.0))]
    chart = scatter(board(rows, [column("l2-uvp"), column("fid")]))
    ties = [value for value in values(chart, "rule", "x2", "y2")]
    assert [(tie["x"], tie["y"], tie["x2"], tie["y2"]) for tie in ties] == [(1.4, 15.65, 2, 17)]
    hollow = [value for value in points(chart) if value["tip"].endswith("published")]
    assert [value["label"] for value in hollow] == ["ots"]
    assert "Hollow: published values." in chart.description


def test_the_plane_takes_what_there_is_of_one_dataset():
    assert scatter(paper_board(("l2-uvp", "psnr"))) is None  # nothing perceptual
    assert scatter(paper_board(("fid",))) is None
    columns = [column("l2-uvp", name="l2-uvp a", about="a"), column("fid", name="fid b", about="b"),
               column("psnr", name="psnr b", about="b")]
    chart = scatter(board([row("ots", entry(1.0), entry(2.0), entry(20.0))], columns))
    assert chart.table[0][1:3] == ("PSNR, b, dB", "FID, b")
    gaps = board([row("ots", entry(1.0), entry(None)), row("b", entry(None), entry(3.0))],
                 [column("l2-uvp"), column("fid")])
    assert scatter(gaps) is None
    assert scatter(paper_board(), x="nothing") is None


def test_what_is_not_finite_is_left_out():
    rows = [row("ots", entry(1.0), entry(2.0)), row("bad", entry(math.inf), entry(math.nan))]
    chart = scatter(board(rows, [column("l2-uvp"), column("fid")]))
    assert [value["label"] for value in points(chart)] == ["ots"]
    assert chart.description.startswith("Only ots has both values. Up and right is better. No ")


def test_200_rows_name_the_important_few():
    rows = [row(f"method-{index}", entry(1.0 + index, 0.1), entry(200.0 - index % 17, 1.0))
            for index in range(200)]
    chart = scatter(board(rows, [column("l2-uvp"), column("fid")]))
    named = [text for text in texts(chart) if text.startswith("method-")]
    assert "method-0" in named
    assert len(named) <= 16
    assert len(points(chart)) == 200
    assert len(chart.table) == 201
    assert len(chart.svg) < 150_000


# --- The path


def test_the_path_has_a_panel_for_each_metric(along):
    assert {"L2-UVP, % ↓", "FID ↓", "PSNR, dB ↑"} <= set(texts(along))
    assert len(along.spec["concat"]) == 3
    points_of = [value for value in points(along) if value["label"] == "wgan-gp[lambda=1000]"]
    assert [(value["x"], value["y"]) for value in points_of] == [(3, 14.0), (3, 187.95), (3, 19.91)]


def test_0_and_the_identity_stand_apart(along):
    places = {value["label"]: value["x"] for value in points(along)}
    assert places["wgan-gp[lambda=0]"] < places["wgan-gp[lambda=0.1]"] - 0.5
    assert places["identity"] > places["wgan-gp[lambda=100000]"] + 0.5
    lines = [data for kind, encoding, data in layers(along) if kind == "line" and len(data) == 7]
    assert len(lines) == 3  # the mean line leaves 0 out
    assert all(min(value["x"] for value in line) == -1 for line in lines)
    assert {"0", "0.1", "10⁵", "∞", "λ ="} <= set(texts(along))


def test_ots_and_the_identity_are_horizontal_lines(along):
    level = [(value["label"], value["y"]) for value in values(along, "rule", "label")
             if "x" not in value]
    assert level[:2] == [("ots", 1.4), ("identity", 30.6)]
    assert "ots" in texts(along)
    assert "identity" in texts(along)


def test_bands_are_the_intervals_and_say_so(along):
    band = next(data for kind, _, data in layers(along) if kind == "area")
    assert len(band) == 7
    at_100 = next(value for value in band if value["x"] == 2)
    assert (at_100["y"], at_100["y2"]) == pytest.approx((3.8, 4.2))
    assert "Bands: 95 % interval, cut where" in along.description


def test_bands_of_seeds_only_say_that():
    rows = [swept(lam, entry(10 + lam, sd=2.0)) for lam in (1.0, 10.0)]
    chart = path(board(rows, [column()]))
    band = next(data for kind, _, data in layers(chart) if kind == "area")
    assert (band[0]["y"], band[0]["y2"]) == (9, 13)
    assert "Bands: ± one standard deviation over seeds," in chart.description


def test_without_any_spread_there_are_no_bands():
    chart = path(board([swept(lam, entry(10 + lam)) for lam in (1.0, 10.0)], [column()]))
    assert not any(kind == "area" for kind, _, _ in layers(chart))
    assert "no bands" in chart.description


def test_the_best_by_oracle_and_by_validation_are_marked_apart(along):
    marks = {}
    for view in along.spec["concat"][:1]:
        for layer in view["layer"]:
            if layer["mark"].get("shape") in ("diamond", "square") and "x" in layer["encoding"]:
                marks[layer["mark"]["shape"]] = [v["x"] for v in layer["data"]["values"]]
    assert marks == {"diamond": [2], "square": [1]}
    assert {"best by oracle", "best by validation"} <= set(texts(along))
    assert "best by oracle: wgan-gp λ=100 (4.0 %); best by validation: wgan-gp λ=10 (12.0 %)" \
        in along.description
    chosen = {line[0]: line[-1] for line in along.table}
    assert (chosen["100"], chosen["10"], chosen["1"]) == ("oracle", "validation", "-")


def curve(chart, dash):
    return [layer["data"]["values"] for view in chart.spec.get("concat", [chart.spec])
            for layer in view["layer"] if layer["mark"].get("strokeDash") == dash
            and layer["mark"]["type"] == "line" and "at" not in layer["data"]["values"][0]]


def test_the_curve_of_theory_is_the_formulas_and_only_where_the_map_is_known(along):
    drawn, = curve(along, [6, 3])
    assert len(drawn) == 60
    for value in drawn:
        expected = interpolation_l2_uvp(10 ** value["x"], IDENTITY["l2-uvp"])
        assert value["y"] == pytest.approx(expected, rel=1e-4)
    assert "theory for W2² in place of W1" in texts(along)
    assert "no prediction for WGAN-GP" in along.description


def test_the_bound_of_w1_is_the_formulas(along):
    drawn, = curve(along, [1.5, 2.5])
    for value in drawn:
        expected = w1_l2_uvp_bound(10 ** value["x"], 30.6, hr_variance=3600, values=12_288)
        assert value["y"] == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert "lower bound for exact W1" in texts(along)
    assert "D/(2λ)" in along.description


def test_no_bound_without_the_facts_and_no_theory_without_the_identity():
    chart = path(paper_board(("l2-uvp",)))
    assert curve(chart, [1.5, 2.5]) == []
    assert len(curve(chart, [6, 3])) == 1
    assert "dotted" not in chart.description
    bare = path(paper_board(("l2-uvp",), identity=False))
    assert curve(bare, [6, 3]) == []
    assert "theory" not in bare.description
    by_facts = path(paper_board(("l2-uvp",), identity=False,
                                records=[record(identity_l2_uvp=30.6)]))
    assert len(curve(by_facts, [6, 3])) == 1


def test_facts_of_strangers_that_are_no_numbers_are_not_used():
    for facts in ({"hr_variance": "x"}, {"hr_variance": -1.0}, {"hr_variance": math.nan}):
        sweep = board([*paper_board(("l2-uvp",)).final.rows], [column()], [record(**facts)])
        assert curve(path(sweep), [1.5, 2.5]) == []


def test_other_parameters_have_no_theory():
    rows = [swept(value, entry(10 + value), parameter="width") for value in (1.0, 2.0)]
    chart = path(board([*rows, row("identity", entry(30.0))], [column()]))
    assert curve(chart, [6, 3]) == []
    assert "width" in texts(chart)


def test_no_path_without_a_sweep():
    assert path(board([row("ots", entry(1.0))], [column()])) is None
    assert path(board([swept(1.0, entry(1.0))], [column()])) is None
    assert path(board([swept(1.0, entry(None)), swept(2.0, entry(None))], [column()])) is None


def test_the_largest_sweep_is_drawn_and_at_most_six_metrics():
    rows = [swept(lam, *(entry(lam + 1) for _ in range(8))) for lam in (0.0, 1.0, 10.0)]
    other = [swept(lam, *(entry(lam + 1) for _ in range(8)), family="dasr") for lam in (1.0, 2.0)]
    chart = path(board([*rows, *other], [column(f"metric-{index}") for index in range(8)]))
    assert chart.title == "Metrics along λ of wgan-gp"
    assert len(chart.spec["concat"]) == 6


def test_the_columns_that_the_table_shows_come_first():
    rows = [swept(lam, *(entry(lam + 1) for _ in range(8))) for lam in (0.0, 10.0)]
    made = replace(board(rows, [column(f"metric-{index}") for index in range(8)]),
                   shown=("metric-7", "metric-0"))
    assert path(made).table[0][1:-1] == tuple(f"metric-{index}" for index in (0, 1, 2, 3, 4, 7))


def test_bands_stretch_the_axis_only_so_far():
    rows = [swept(lam, entry(10 + lam, 100.0)) for lam in (0.0, 10.0)]
    known = parameters(path(board(rows, [column()])))
    assert known["m0_y_high"] < 26
    assert known["m0_y_low"] > 4


# --- Both


def hostile_board():
    columns = [replace(column(metric), title=HOSTILE, unit=HOSTILE) for metric in ("l2-uvp", "fid")]
    rows = [replace(swept(lam, entry(5 + lam, 1.0), entry(9 + lam, 1.0), family=HOSTILE,
                          parameter=HOSTILE, chosen=("oracle",)), label=f"{HOSTILE}{lam}")
            for lam in (0.0, 2.0, 7.0)]
    return board(rows, columns)


@pytest.mark.parametrize("draw", [scatter, path])
def test_hostile_texts_are_only_texts(draw):
    chart = draw(hostile_board())
    assert complaints(chart.svg, chart.name) == []
    assert "<script" not in chart.svg
    assert "\u202e" not in chart.svg
    text = str(script_json(chart.spec))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == json.loads(json.dumps(chart.spec))
    assert chart.json == text


def test_the_specification_is_valid(plane):
    small = board([swept(lam, entry(9 + lam, 1.0), chosen=("oracle",)) for lam in (0.0, 1.0)],
                  [column()])
    for chart in (plane, path(small)):
        altair.Chart.from_dict(chart.spec).to_dict()


@pytest.mark.parametrize("name", ["plane", "along"])
def test_the_picture_suits_a_strict_policy(name, request):
    chart = request.getfixturevalue(name)
    assert complaints(chart.svg, chart.name) == []
    head = chart.svg.partition("<title")[0]
    assert 'role="img"' in head
    assert "viewBox=" in head
    assert f'aria-label="{chart.title}"' in head
    assert f'<desc id="{chart.name}-words">' in chart.svg
    assert f'aria-describedby="{chart.name}-words"' in head


def test_two_builds_give_the_same_bytes(plane, along):
    again = scatter(paper_board()), path(paper_board(records=[record()]))
    assert [chart.svg for chart in again] == [plane.svg, along.svg]
    assert [json.dumps(chart.spec) for chart in again] == [json.dumps(plane.spec),
                                                           json.dumps(along.spec)]


@pytest.mark.parametrize("draw", [scatter, path])
def test_no_font_moves_anything(draw, monkeypatch):
    made = paper_board(("l2-uvp", "fid"))
    first = draw(made).svg
    family = 'font-family="Liberation Sans, Arial, Helvetica, sans-serif"'
    assert family in first
    monkeypatch.setattr("srbench.boards.charts.look.FONT", "DejaVu Serif")
    assert draw(made).svg.replace('font-family="DejaVu Serif"', family) == first


def test_the_table_holds_the_numbers_of_the_picture(plane, along):
    assert plane.table[0] == ("Method", "L2-UVP, %", "FID", "Beaten in both by another")
    assert plane.table[1] == ("ots", "1.4 (1.3 to 1.5)", "15.7 (14.9 to 16.4)", "no")
    assert along.table[1][:2] == ("0", "25.2 % (23.9 to 26.5)")
    assert [line[0] for line in along.table[-2:]] == ["ots", "identity"]
    assert all(len(line) == len(along.table[0]) for line in along.table)


def test_the_ends_of_the_axes_are_parameters(plane, along):
    known = parameters(plane)
    assert known["highlight"] == ""
    assert known["plane_x_low"] < 1.4 < 30.6 < known["plane_x_high"]
    for zoom in along.spec["usermeta"]["srbench"]["zoom"]:
        for side in zoom.values():
            assert {f"{side['key']}_{end}" for end in ("low", "high", "ticks")} <= set(
                parameters(along))
    assert all(zoom["x"]["named"] for zoom in along.spec["usermeta"]["srbench"]["zoom"])


def test_a_style_attribute_of_the_renderer_is_refused():
    drawn = f'<svg {SVG}><g style="color:red"><path d="M0,0"/></g></svg>'
    with pytest.raises(ValueError, match="style attribute: 'color:red'"):
        clean(drawn, name="x", title="t", description="d", size=(10, 10))


def test_cleaning_renames_ids_rounds_and_drops_what_is_empty():
    drawn = (f'<svg {SVG}><defs><clipPath id="clip7"><rect width="1.23456"/></clipPath></defs>'
             '<g clip-path="url(#clip7)" class="mark"><text stroke="#fff">a&lt;</text></g>'
             '<g/><path d=""/><path d="M1e-7,-0.001L2.0049,3" fill="red"/></svg>')
    cleaned = clean(drawn, name="x", title="<t>", description="d", size=(10, 20))
    assert complaints(cleaned, "x") == []
    assert 'clip-path="url(#x-0)"' in cleaned
    assert 'id="x-0"' in cleaned
    assert 'width="1.23"' in cleaned
    assert 'd="M0,0L2,3"' in cleaned
    assert 'paint-order="stroke"' in cleaned
    assert "&lt;t&gt;" in cleaned
    assert "a&lt;" in cleaned
