"""FSSR: frequency separation for real-world super-resolution."""

from __future__ import annotations

from srbench import MethodInfo, hookimpl

CITATION = """\
@inproceedings{fritsche2019frequency,
  title     = {Frequency Separation for Real-World Super-Resolution},
  author    = {Fritsche, Manuel and Gu, Shuhang and Timofte, Radu},
  booktitle = {ICCV Workshops},
  year      = {2019}
}"""


@hookimpl
def srbench_methods() -> list[MethodInfo]:
    """Return the method of this plugin."""
    return [
        MethodInfo(
            name="fssr",
            summary="Learns a degradation (DSGAN), then super-resolution on the pairs it makes.",
            load="srbench_fssr.method:FSSR",
            memory_gib={"paper": 6.5, "code": 6.5},  # measured: docs/benchmarks.md
            paper="arXiv 1911.07850; winner of the AIM 2019 real-world challenge",
            url="https://github.com/ManuelFritsche/real-world-sr",
            citation=CITATION,
            licence="MIT",
        )
    ]
