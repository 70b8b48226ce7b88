"""Optimal transport solver (OTS): the paper's method."""

from __future__ import annotations

from srbench import MethodInfo, hookimpl

CITATION = """\
@article{gazdieva2022optimal,
  title   = {An Optimal Transport Perspective on Unpaired Image Super-Resolution},
  author  = {Gazdieva, Milena and Mokrov, Petr and Rout, Litu and Korotin, Alexander
             and Filippov, Alexander and Burnaev, Evgeny},
  journal = {arXiv preprint arXiv:2202.01116},
  year    = {2022}
}"""


@hookimpl
def srbench_methods() -> list[MethodInfo]:
    """Return the method of this plugin."""
    return [
        MethodInfo(
            name="ots",
            summary="Optimal transport solver: an unbiased transport map by a minimax game.",
            load="srbench_ots.method:OTS",
            memory_gib={"paper": 4.5, "code": 4.5},  # measured: docs/benchmarks.md
            paper="arXiv 2202.01116, Algorithm 1",
            url="https://github.com/milenagazdieva/OT-Super-Resolution",
            citation=CITATION,
            licence="MIT",
        )
    ]
