"""A sound dataset of photographs in one file; mutants are made from its text."""

from srbench import DatasetInfo, Parameters, hookimpl
from srbench.testing import SyntheticPhotographs

CITATION = """@misc{soundphotographs2026,
  author = {Nobody, N.},
  title = {Sound Photographs},
  year = {2026}
}"""


@hookimpl
def srbench_datasets():
    return [DatasetInfo(name="sound", summary="Waves as photographs, scale 4.",
                        load=f"{__name__}:Photographs", citation=CITATION, licence="CC0-1.0")]


class Photographs(SyntheticPhotographs):
    Params = Parameters

    def __init__(self, params, name):
        super().__init__()
        self.params, self.name = params, name

    def sample_lr(self, n, generator, size=None):
        return super().sample_lr(n, generator, size)

    def train_images(self, role):
        return super().train_images(role)
