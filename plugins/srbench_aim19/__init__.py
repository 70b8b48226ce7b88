"""AIM 2019 real-world super-resolution: photographs with unknown degradation, unpaired, x4."""

from __future__ import annotations

from srbench import DatasetInfo, hookimpl

_CITATION = """@inproceedings{lugmayr2019aim,
  title     = {AIM 2019 Challenge on Real-World Image Super-Resolution: Methods and Results},
  author    = {Lugmayr, Andreas and Danelljan, Martin and Timofte, Radu and others},
  booktitle = {IEEE/CVF International Conference on Computer Vision Workshops},
  year      = {2019}
}"""


@hookimpl
def srbench_datasets() -> list[DatasetInfo]:
    """Return the one dataset, of Track 2 of the challenge (target domain)."""
    return [DatasetInfo(
        name="aim19",
        summary="Unpaired x4 super-resolution of photographs with noise and artefacts.",
        load="srbench_aim19.dataset:AIM19",
        paper="https://arxiv.org/abs/1911.07783",
        url="https://competitions.codalab.org/competitions/20164",
        citation=_CITATION,
        licence="research use; every user fetches it",
    )]
