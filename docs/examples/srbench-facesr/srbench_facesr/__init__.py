"""What srbench lists: metadata only, torch is imported when a cell runs."""

from srbench import MethodInfo, hookimpl

CITATION = """@inproceedings{bulat2018learn,
  title     = {To Learn Image Super-Resolution, Use a {GAN} to Learn How to Do Image Degradation
               First},
  author    = {Bulat, Adrian and Yang, Jing and Tzimiropoulos, Georgios},
  booktitle = {European Conference on Computer Vision},
  pages     = {185--200},
  year      = {2018}
}"""


@hookimpl
def srbench_methods() -> list[MethodInfo]:
    """FaceSR."""
    return [
        MethodInfo(
            name="facesr",
            summary="High-to-low GAN that degrades HR images, then a low-to-high GAN on its pairs.",
            load="srbench_facesr.method:FaceSR",
            citation=CITATION,
            licence="MIT",
            paper="arXiv 1807.11458",
            memory_gib={"paper": 4.0},  # measured on a CPU: 3.5
        )
    ]
