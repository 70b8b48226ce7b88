"""What srbench lists: metadata only, torch is imported when a cell runs."""

from srbench import MethodInfo, hookimpl

CITATION = """@inproceedings{yuan2018unsupervised,
  title     = {Unsupervised Image Super-Resolution Using Cycle-in-Cycle Generative Adversarial
               Networks},
  author    = {Yuan, Yuan and Liu, Siyuan and Zhang, Jiawei and Zhang, Yongbing and Dong, Chao
               and Lin, Liang},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition Workshops},
  pages     = {701--710},
  year      = {2018}
}"""


@hookimpl
def srbench_methods() -> list[MethodInfo]:
    """CinCGAN."""
    return [
        MethodInfo(
            name="cincgan",
            summary="Cycle in cycle: cleans LR images, then enlarges them, each with a way back.",
            load="srbench_cincgan.method:CinCGAN",
            citation=CITATION,
            licence="MIT",
            paper="arXiv 1809.00437",
            memory_gib={"paper": 6.5},  # measured on a CPU: 5.8
        )
    ]
