"""DASR: domain-distance aware super-resolution."""

from __future__ import annotations

from srbench import MethodInfo, hookimpl

CITATION = """\
@inproceedings{wei2021unsupervised,
  title     = {Unsupervised Real-World Image Super Resolution via Domain-Distance Aware Training},
  author    = {Wei, Yunxuan and Gu, Shuhang and Li, Yawei and Timofte, Radu and Jin, Longcun
               and Song, Hengjie},
  booktitle = {CVPR},
  year      = {2021}
}"""


@hookimpl
def srbench_methods() -> list[MethodInfo]:
    """Return the method of this plugin."""
    return [
        MethodInfo(
            name="dasr",
            summary="Learns a degradation (DSN), then weighs its pairs by their distance to P.",
            load="srbench_dasr.method:DASR",
            memory_gib={"paper": 5.0, "code": 5.0},  # measured: docs/benchmarks.md
            paper="arXiv 2004.01178",
            url="https://github.com/ShuhangGu/DASR",
            citation=CITATION,
            licence="the authors' code has none; this implementation: MIT",
        )
    ]
