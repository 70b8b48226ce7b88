"""Bicubic interpolation, the baseline every super-resolution method is compared with."""

from __future__ import annotations

from srbench import MethodInfo, hookimpl

CITATION = """\
@article{keys1981cubic,
  title   = {Cubic Convolution Interpolation for Digital Image Processing},
  author  = {Keys, Robert G.},
  journal = {IEEE Transactions on Acoustics, Speech, and Signal Processing},
  volume  = {29},
  number  = {6},
  pages   = {1153--1160},
  year    = {1981}
}"""


@hookimpl
def srbench_methods() -> list[MethodInfo]:
    """Return the method of this plugin."""
    return [
        MethodInfo(
            name="bicubic",
            summary="Bicubic interpolation; on images of one size it returns its input.",
            load="srbench_bicubic.method:Bicubic",
            paper="arXiv 2202.01116, appendix C (the operation Up)",
            citation=CITATION,
            licence="MIT",
        )
    ]
