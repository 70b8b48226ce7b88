"""A sound dataset in one file: every check of datasets passes. Mutants are made from its text."""

import hashlib

import torch

from srbench import Dataset, DatasetInfo, Field, Parameters, Problem, hookimpl

CITATION = """@misc{soundpair2026,
  author = {Nobody, N.},
  title = {A Sound Pair of Distributions},
  year = {2026}
}"""
SIDE = 8
GAIN = 0.8


@hookimpl
def srbench_datasets():
    return [DatasetInfo(name="sound", summary="Coloured noise and the same with less contrast.",
                        load=f"{__name__}:Pair", citation=CITATION, licence="CC0-1.0")]


def noise(n, generator):
    """Uniform colours in [-1, 1] with a little variation in each image."""
    colours = torch.rand(n, 3, 1, 1, generator=generator) * 1.6 - 0.8
    return colours + torch.rand(n, 3, SIDE, SIDE, generator=generator) * 0.4 - 0.2


class Pair(Dataset):
    class Params(Parameters):
        test_size: int = Field(40, ge=1)

    known_map = True
    source = "generated"

    def __init__(self, params, name):
        super().__init__(params, name)
        self.problem = Problem(domain="image", lr_shape=(3, SIDE, SIDE), hr_shape=(3, SIDE, SIDE))

    def fingerprint(self):
        words = f"sound pair v1 {SIDE} {GAIN} {self.params.test_size}"
        return hashlib.sha256(words.encode()).hexdigest()

    def prepare(self, device):
        self.device = device

    def sample_lr(self, n, generator):
        return noise(n, generator)

    def sample_hr(self, n, generator):
        return GAIN * noise(n, generator)

    def pairs(self, seed, size, batch_size):
        lr = noise(size, torch.Generator().manual_seed(seed))
        for part in lr.split(batch_size):
            yield part.to(self.device), GAIN * part.to(self.device)

    def test_batches(self, batch_size):
        return self.pairs(1, self.params.test_size, batch_size)

    def validation_batches(self, batch_size):
        return self.pairs(2, 24, batch_size)

    def facts(self):
        variance = 1.6**2 / 12 + 0.4**2 / 12  # of one value: two uniform numbers
        dim = self.problem.dim
        return {"hr_variance": GAIN**2 * variance * dim,
                "transport_cost": (1 - GAIN) ** 2 * variance * dim / 2,
                "test_size": self.params.test_size}
