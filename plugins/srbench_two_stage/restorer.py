"""The second stage's network and the method around it.

Legend: G = the restorer, images in [0, 1]; T(x) = 2 G((x + 1) / 2) - 1.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from srbench import Method, Skipped
from srbench.errors import DataError, MissingWeights, ParameterError
from srbench.files import cache_dir, ensure, read_manifest
from srbench.networks.resize import up_bicubic
from srbench.networks.rrdbnet import RRDBNet, load_rrdb
from srbench.paths import user_path
from srbench_two_stage.crops import from_unit, to_unit
from srbench_two_stage.parameters import ESRGAN, RANDOM, TwoStageParameters

if TYPE_CHECKING:
    from torch import Tensor

    from srbench import Training
    from srbench.files import RemoteFile
    from srbench_two_stage.pairs import Pairs

OFFICIAL = "official"
ESRGAN_FILE = "RRDB_ESRGAN_x4.pth"
SMALLEST = 128  # side of the first stage's crops: LPIPS of a quarter of it needs 32


class TwoStageMethod(Method):
    """A restorer trained on generated pairs.

    Subclasses define `fit`, `prepare`, `manifest`, the list of the authors' files, and
    `official_restorer`, the one of the restorer.
    """

    Params = TwoStageParameters
    params: TwoStageParameters
    manifest: ClassVar[Path]

    def build(self) -> None:
        """Create the restorer, or load it where the parameters name a checkpoint.

        Raises
        ------
        Skipped
            If the data is not photographs with scale 4.
        DataError
            If they are too small.
        MissingWeights
            If a checkpoint or pretrained weights are not on this machine; before any training.
        CorruptFile
            If a checkpoint is not a restorer's, naming the first entry that differs.
        """
        if self.problem.domain != "sr" or self.problem.scale != 4:
            raise Skipped(f"{type(self).__name__} learns super-resolution of photographs by 4; the "
                          f"domain is {self.problem.domain}, the scale {self.problem.scale}")
        p = self.params
        if not p.pretrained and not (self.problem.lr_extent and self.problem.hr_extent):
            raise Skipped(f"{type(self).__name__} learns from whole photographs, the dataset has "
                          "samples only")
        if p.pairs_share < p.degradation_share:
            raise ParameterError(f"pairs_share={p.pairs_share} is less than degradation_share="
                                 f"{p.degradation_share}", hint="the second begins where the first "
                                 "ends")
        self._notes: list[str] = []
        # In a dictionary, so that they are no part of the map and of its weights.
        self.beside: dict[str, Any] = {}
        self.residual = p.residual and not p.pretrained
        self.network = self.pretrained_network() if p.pretrained else self.new_network()
        if self.residual:
            self.note("The restorer is added to bicubic interpolation, unlike the authors'.")
            for parameter in self.network.conv_last.parameters():
                torch.nn.init.zeros_(parameter)
        if not p.pretrained:
            self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Put what training needs beside the restorer into `beside`.

        Raises
        ------
        MissingWeights
            If pretrained weights are not on this machine, before any training.
        """

    def first_crop(self, wanted: int, room: int, unit: int) -> int:
        """Side of the first stage's crops: ``wanted``, or the most that every photograph holds.

        Parameters
        ----------
        wanted, room : int
            What was asked for, and what the smallest photograph holds.
        unit : int
            The side is a multiple of it.

        Raises
        ------
        DataError
            If they hold too little.
        """
        crop = min(wanted, room - room % unit)
        if crop < SMALLEST:
            raise DataError(f"the first stage needs photographs that hold crops of {SMALLEST} x "
                            f"{SMALLEST}; the smallest holds {room} x {room}",
                            hint="use larger photographs, or give pretrained_degradation")
        if crop < wanted:
            self.note(f"The first stage takes crops of {crop} pixels instead of {wanted}, the most "
                      "that every photograph holds.")
        return crop

    def forward(self, lr: Tensor) -> Tensor:
        """Map ``lr`` (N, 3, h, w) to T(lr), (N, 3, 4 h, 4 w), unclamped."""
        return from_unit(self.restore(to_unit(lr)))

    def restore(self, unit: Tensor) -> Tensor:
        """Return G of images in [0, 1]."""
        restored: Tensor = self.network(unit)
        return restored + up_bicubic(unit, self.problem.scale) if self.residual else restored

    def notes(self) -> list[str]:
        """What differs from the method as published."""
        return list(self._notes)

    def note(self, sentence: str) -> None:
        """Add to `notes`."""
        if sentence not in self._notes:
            self._notes.append(sentence)

    def new_network(self) -> RRDBNet:
        """Create the restorer and give it its start."""
        p = self.params
        network = RRDBNet(p.features, p.blocks, p.growth, self.problem.scale)
        if p.init == RANDOM:
            self.initialise(network)
            return network
        start = load_rrdb(esrgan_file() if p.init == ESRGAN else user_path(p.init))
        found = {"features": start.conv_first.out_channels, "blocks": len(start.RRDB_trunk)}
        if found["blocks"]:
            found["growth"] = len(start.get_parameter("RRDB_trunk.0.RDB1.conv1.weight"))
        wanted = {name: getattr(p, name) for name in found}
        if found != wanted:
            raise ParameterError(
                f"init={p.init!r} has {_listed(found)}, the parameters say {_listed(wanted)}",
                hint="set them to the file's")
        self.check_scale(2**start.doublings, f"init={p.init!r}")
        return start

    def initialise(self, network: RRDBNet) -> None:
        """Change the random start of the restorer; PyTorch's own, dense blocks scaled, is left."""

    def pretrained_network(self) -> RRDBNet:
        """Load the restorer that ``pretrained`` names.

        Raises
        ------
        ParameterError
            If its magnification is not the problem's.
        """
        path = self.checkpoint(self.params.pretrained, self.official_restorer())
        network = load_rrdb(path)
        self.check_scale(2**network.doublings, str(path))
        return network

    def check_scale(self, scale: int, what: str) -> None:
        """Raise `ParameterError` if the network of ``what`` is not for the problem's scale."""
        if scale != self.problem.scale:
            raise ParameterError(f"{what} is for a scale of {scale}, not of {self.problem.scale}")

    @abstractmethod
    def official_restorer(self) -> str:
        """Name of the authors' checkpoint of the restorer in the manifest."""

    def generate(self, training: Training, pairs: Pairs) -> None:
        """Run the stage between the two, in which pairs are made of whole photographs."""
        pairs.make(training.stage("pairs", until=self.params.pairs_share).steps(len(pairs)))
        if pairs.number < len(pairs):
            self.note(f"The budget left time for {pairs.number} of {len(pairs)} generated pairs.")

    def checkpoint(self, given: str, official: str) -> Path:
        """Path of a checkpoint: the user's, or the authors' file, fetched once."""
        if given != OFFICIAL:
            return user_path(given)
        remote: RemoteFile = read_manifest(self.manifest)[official]
        return ensure(remote)


def _listed(values: dict[str, int]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def esrgan_file() -> Path:
    """Path of RRDB_ESRGAN_x4.pth on this machine.

    Raises
    ------
    MissingWeights
        If it is not here; there is no address it can be fetched from without a browser.
    """
    named = os.environ.get("SRBENCH_WEIGHTS", "")
    folders = [user_path(named)] if named else []
    cached = cache_dir() / "weights"
    for folder in (*folders, cached):
        if (folder / ESRGAN_FILE).is_file():
            return folder / ESRGAN_FILE
    raise MissingWeights(
        f"{ESRGAN_FILE}, which the restorer starts from, is not on this machine",
        hint=f"get it from the models of github.com/xinntao/ESRGAN, then: cp {ESRGAN_FILE} "
        f"{cached}/ ; or start from random weights: init=random")
