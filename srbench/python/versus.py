"""What the data support about two methods, as Python and a notebook show it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from srbench.boards.pair import Pair

ENDS = ("low", "high")


@dataclass(frozen=True)
class Versus:
    """The comparison of ``srbench compare``; a shell and a notebook show its sentences.

    Attributes
    ----------
    pair : Pair
        Names, records and numbers.
    """

    pair: Pair

    @cached_property
    def summary(self) -> str:
        """Which metrics tell the two apart, in a sentence; empty where none was compared."""
        from srbench.cli.verdicts import document

        return str(document(self.pair)["summary"])

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per metric.

        Columns ``metric, title, unit, direction``, means ``a`` and ``b``, the ``difference`` a - b
        with its 95 % interval ``low, high``, ``p`` and ``p_holm``, whether the two are
        ``told_apart``, which is ``better``, and ``test_images``.
        """
        import pandas as pd

        from srbench.cli.verdicts import data

        rows = []
        for one in data(self.pair.comparison, self.pair.names):
            ends = zip(ENDS, one["interval"] or (None, None), strict=True)
            rows.append({name: one[name] for name in ("metric", "title", "unit", "direction")}
                        | {side: one[side]["mean"] for side in ("a", "b")}
                        | {"difference": one["difference"]} | dict(ends)
                        | {name: one[name] for name in ("p", "p_holm", "told_apart", "better",
                                                        "test_images")})
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        """Everything ``srbench compare`` says."""
        from srbench.cli.verdicts import lines
        from srbench.foreign.text import printable_lines

        return printable_lines("\n".join(lines(self.pair)))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from markupsafe import Markup

        heading, *said = str(self).splitlines()
        body = Markup("").join(Markup("<p>{}</p>").format(line) for line in said if line)
        return str(Markup('<div class="srbench-versus"><h4>{}</h4>{}</div>').format(heading, body))
