"""Anchors: what identity, a constant and an affine map reach, to read other numbers against."""

from __future__ import annotations

from srbench import MethodInfo, hookimpl

PAPER = "Korotin et al., 2021 (Wasserstein-2 benchmark), baselines ID, C and L"
URL = "https://github.com/iamalexkorotin/Wasserstein2Benchmark"
CITATION = """\
@inproceedings{korotin2021neural,
  title     = {Do Neural Optimal Transport Solvers Work? A Continuous Wasserstein-2 Benchmark},
  author    = {Korotin, Alexander and Li, Lingxiao and Genevay, Aude and Solomon, Justin M and
               Filippov, Alexander and Burnaev, Evgeny},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2021}
}"""


@hookimpl
def srbench_methods() -> list[MethodInfo]:
    """Return the methods of this plugin."""
    return [
        MethodInfo(
            name="identity",
            summary="Returns its input: where a method without any effect stands.",
            load="srbench_anchors.method:Identity",
            paper=PAPER,
            url=URL,
            citation=CITATION,
            licence="MIT",
        ),
        MethodInfo(
            name="constant",
            summary="Returns the mean of the HR samples: L2-UVP is 100 % by definition.",
            load="srbench_anchors.method:Constant",
            paper=PAPER,
            url=URL,
            citation=CITATION,
            licence="MIT",
        ),
        MethodInfo(
            name="linear",
            summary="The optimal affine map between Gaussians of the samples' moments.",
            load="srbench_anchors.method:Linear",
            paper=PAPER,
            url=URL,
            citation=CITATION,
            licence="MIT",
        ),
    ]
