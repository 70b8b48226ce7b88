"""What the data support, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from srbench.boards.pair import Pair
    from srbench.results.comparison import Compared, Comparison
    from srbench.results.record import MetricValue
    from srbench.results.statistics import Difference, Estimate

MOST_DECIMALS = 12
Names = tuple[str, str]


def lines(pair: Pair) -> list[str]:
    """Everything ``srbench compare`` says, the heading first."""
    names, comparison = pair.names, pair.comparison
    said = [f"{names[0]} and {names[1]} on {pair.title} ({pair.preset})"]
    if comparison.compared:
        said += [summary(comparison, names), ""]
    said += [sentence(one, names, comparison.family) for one in comparison.compared]
    return said + [f"{metric}: not compared: {why}" for metric, why in comparison.refused.items()]


def document(pair: Pair) -> dict[str, Any]:
    """The comparison as JSON data."""
    names, comparison = pair.names, pair.comparison
    return {
        "a": names[0], "b": names[1], "dataset": pair.title, "preset": pair.preset,
        "seeds": [sorted(record.identity.seed for record in side) for side in pair.sides],
        "dataset_fingerprint": pair.sides[0][0].origin.dataset_fingerprint,
        "holm_family": comparison.family,
        "summary": summary(comparison, names) if comparison.compared else "",
        "metrics": data(comparison, names), "refused": comparison.refused}


def summary(comparison: Comparison, names: Names) -> str:
    """Say which metrics tell the two apart.

    Examples
    --------
    ``ots is better in L2-UVP and PSNR; the data do not tell them apart in SSIM.``
    """
    better: dict[str, list[str]] = {name: [] for name in names}
    even: list[str] = []
    untold: list[str] = []
    alone: list[str] = []
    for one in comparison.compared:
        if one.apart is None:
            untold.append(one.about.title)
        elif one.apart:
            better[names[0] if one.a_is_better else names[1]].append(one.about.title)
        else:
            even.append(one.about.title)
            if one.apart_alone:
                alone.append(one.about.title)
    parts = [f"{name} is better in {_listed(titles)}" for name, titles in better.items() if titles]
    if even:
        parts.append(f"the data do not tell them apart in {_listed(even)}")
    if untold:
        parts.append(f"nothing can be said of {_listed(untold)}")
    said = "; ".join(parts) + "."
    if alone:
        said += (f" Of {_listed(alone)} the data would be enough had only that been asked "
                 "(--metric), which is to be decided before looking.")
    return said


def sentence(one: Compared, names: Names, family: int) -> str:
    """Say what the data support in one metric.

    Examples
    --------
    ``L2-UVP: ots is lower (better) by 2.6 percentage points, 95 % interval 1.5 to 3.7, p = 0.002
    (Holm over 7 metrics); 3 seeds each, 512 test images.``
    """
    if one.apart is None:
        said = _no_test(one, names)
    elif one.apart:
        said = f"{_gap(one, names)}, {_test(one, family)}"
    elif one.difference.difference == 0:
        said = f"the data do not tell them apart: their means are equal, {_test(one, family)}"
    else:
        said = f"the data do not tell them apart: {_gap(one, names, better=False)}, " \
               f"{_test(one, family)}"
    why = one.difference.why
    left_out = [why] if why and one.apart is not None else []
    return f"{one.about.title}: {'; '.join([said, _basis(one, names), *left_out, *one.missing])}."


def data(comparison: Comparison, names: Names) -> list[dict[str, Any]]:
    """The metrics as JSON data."""
    return [{
        "metric": one.metric, "title": one.about.title, "unit": one.about.unit,
        "direction": one.about.direction, "protocol": one.about.protocol,
        "a": _estimate(one.a), "b": _estimate(one.b), "difference": one.difference.difference,
        "interval": one.difference.interval, "p": one.difference.p,
        "p_holm": one.difference.adjusted,
        "trainings_as_they_are": {"interval": one.fixed.interval, "p": one.fixed.p},
        "told_apart": one.apart,
        "better": (names[0] if one.a_is_better else names[1]) if one.apart else None,
        "test_images": one.images, "why": one.difference.why, "missing": list(one.missing),
        "sentence": sentence(one, names, comparison.family)} for one in comparison.compared]


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {"mean": estimate.mean, "seeds": estimate.seeds, "seed_sd": estimate.seed_sd,
            "scenes": estimate.scenes, "scene_interval": estimate.scene_interval,
            "interval": estimate.interval, "why": estimate.why}


def _gap(one: Compared, names: Names, *, better: bool = True) -> str:
    """``ots is lower (better) by 2.6 percentage points``, from the side of the better method."""
    size = abs(one.difference.difference)
    name = names[0] if one.a_is_better else names[1]
    if one.about.direction == "target":
        nearer = f"nearer to the HR images' {show(one.about.reference['hr'], one.about)}"
        return f"{name} is {nearer}{' (better)' if better else ''} by {_amount(size, one.about)}"
    way = one.about.direction
    return f"{name} is {way}{' (better)' if better else ''} by {_amount(size, one.about)}"


def _test(one: Compared, family: int) -> str:
    """Interval of the difference, turned as `_gap` says it, and p."""
    found = one.difference
    assert found.adjusted is not None  # the caller asks for tests that were made
    said = f"95 % interval {_interval(one, found)}, {p_words(found.adjusted)}"
    if found.p is not None and one.apart_alone and not one.apart:
        return f"{said} after Holm's correction over {family} metrics, {p_words(found.p)} alone"
    return f"{said} (Holm over {family} metrics)" if family > 1 else said


def _interval(one: Compared, found: Difference) -> str:
    """Ends of the difference, as far as the better method is better."""
    assert found.interval is not None
    low, high = found.interval
    if found.difference < 0:
        low, high = -high, -low
    return f"{show(low, one.about)} to {show(high, one.about)}"


def _no_test(one: Compared, names: Names) -> str:
    """What can be said where nothing can be said of training."""
    values = " and ".join(f"{name} {show(own.mean, one.about)}{_unit(one.about)}"
                          for name, own in zip(names, (one.a, one.b), strict=True))
    single = [name for name, own, trained in zip(names, (one.a, one.b), one.trained, strict=True)
              if trained and own.seeds == 1]
    if not single:
        return f"no statement is possible, {one.difference.why}: {values}"
    what = "one seed each" if len(single) == 2 else f"one seed of {single[0]}"
    said = f"{what}: no statement about training is possible; on these trainings {values}"
    if one.fixed.interval is None:
        return said
    apart = "differ" if one.fixed.p is not None and one.fixed.p < 0.05 else "are not told apart"
    return (f"{said}, which {apart} on other test images like these (difference "
            f"{show(abs(one.fixed.difference), one.about)}, 95 % interval over test images "
            f"{_interval(one, one.fixed)})")


def _basis(one: Compared, names: Names) -> str:
    """``3 seeds each, 512 test images``."""
    counts = [own.seeds for own, trained in zip((one.a, one.b), one.trained, strict=True)
              if trained]
    if not counts:
        seeds = "nothing was trained"
    elif len(counts) == 1:
        name = names[0] if one.trained[0] else names[1]
        seeds = f"{_seeds(counts[0])} of {name}, the other is not trained"
    elif counts[0] == counts[1]:
        seeds = f"{_seeds(counts[0])} each"
    else:
        seeds = f"{_seeds(counts[0])} of {names[0]}, {counts[1]} of {names[1]}"
    images = f", {one.images:,} test image{'s' if one.images != 1 else ''}" if one.images else ""
    scenes = max(one.a.scenes, one.b.scenes)
    of = f" of {scenes} scenes" if 0 < scenes < one.images - one.images // 10 else ""
    return f"{seeds}{images}{of}"


def _seeds(count: int) -> str:
    return f"{count} seed{'s' if count != 1 else ''}"


def show(value: float, about: MetricValue) -> str:
    """A number with the metric's decimals, or two digits where that would leave zeros."""
    text = f"{value:.{min(max(about.decimals, 0), MOST_DECIMALS)}f}"
    return f"{value:.2g}" if value and float(text) == 0 else text


def _amount(value: float, about: MetricValue) -> str:
    """A difference with its unit; one of percentages is in percentage points."""
    if about.unit == "%":
        return f"{show(value, about)} percentage points"
    return f"{show(value, about)}{_unit(about)}"


def _unit(about: MetricValue) -> str:
    return f" {about.unit}" if about.unit else ""


def p_words(p: float) -> str:
    """Write a p value as papers do: ``p = 0.042``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _listed(titles: Sequence[str]) -> str:
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"
