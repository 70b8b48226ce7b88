"""The Inception network of FID, with features shared by the metrics that use them.

The network is that of the package pytorch-fid; only its way of downloading is left out.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from srbench import weights
from srbench.errors import StoreError
from srbench.evaluation.modes import preserved_randomness
from srbench.files import atomic_write, cache_dir

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from srbench.api.metric import EvaluationContext

_LOG = logging.getLogger(__name__)
PROTOCOL = "pytorch-fid-inception/float-unclamped/bilinear299"


def build_network(state: dict[str, Tensor] | None) -> nn.Module:
    """Build pytorch-fid's Inception up to the 2048 features before the classifier.

    Parameters
    ----------
    state : dict or None
        Entries of pytorch-fid's weight file (the classifier ``fc.*`` may be missing); None draws
        He-normal weights, which are good for timing and tests and for nothing else.

    Returns
    -------
    Module
        In eval mode, without gradients, channels last; images (N, 3, H, W) in [0, 1] to a list of
        one tensor (N, 2048, 1, 1).
    """
    from pytorch_fid import inception as package

    with preserved_randomness(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        body = _patched_body(package)
        if state is None:
            body.apply(_he_normal)
        else:
            body.load_state_dict({k: v for k, v in state.items() if not k.startswith("fc.")})
        network = _in_blocks(package, body)
    network.eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)


def _patched_body(package: Any) -> Any:
    """Return torchvision's Inception with pytorch-fid's blocks and no classifier."""
    body = package._inception_v3(num_classes=1008, aux_logits=False, weights=None)
    body.Mixed_5b = package.FIDInceptionA(192, pool_features=32)
    body.Mixed_5c = package.FIDInceptionA(256, pool_features=64)
    body.Mixed_5d = package.FIDInceptionA(288, pool_features=64)
    body.Mixed_6b = package.FIDInceptionC(768, channels_7x7=128)
    body.Mixed_6c = package.FIDInceptionC(768, channels_7x7=160)
    body.Mixed_6d = package.FIDInceptionC(768, channels_7x7=160)
    body.Mixed_6e = package.FIDInceptionC(768, channels_7x7=192)
    body.Mixed_7b = package.FIDInceptionE_1(1280)
    body.Mixed_7c = package.FIDInceptionE_2(2048)
    body.fc = nn.Identity()
    return body


def _in_blocks(package: Any, body: Any) -> nn.Module:
    """Let pytorch-fid's `InceptionV3` lay the body out in its blocks instead of fetching one."""
    fetch = package.fid_inception_v3
    package.fid_inception_v3 = lambda: body
    try:
        network: nn.Module = package.InceptionV3()
    finally:
        package.fid_inception_v3 = fetch
    return network


def _he_normal(module: nn.Module) -> None:
    """He initialisation with a seed of its own: torchvision's default shrinks to nothing here."""
    if isinstance(module, nn.Conv2d):
        fan_in = module.weight[0].numel()
        generator = torch.Generator().manual_seed(module.weight.numel())
        nn.init.normal_(module.weight, 0.0, (2 / fan_in) ** 0.5, generator=generator)


class InceptionFeatures:
    """Features of predictions, taken once for all metrics, and of targets, kept on disk.

    Parameters
    ----------
    network : Module
        See `build_network`.
    content : str
        Content hash of its weights.
    fingerprint : str
        Dataset the targets belong to; empty keeps nothing on disk.
    """

    def __init__(self, network: nn.Module, content: str, fingerprint: str) -> None:
        self.network, self.content, self.fingerprint = network, content, fingerprint
        self._memory: list[tuple[Tensor, Tensor]] = []  # the last two batches and their features
        self._known = self._read()

    @classmethod
    def shared(cls, context: EvaluationContext) -> InceptionFeatures:
        """Return the one of this dataset object; raises `MissingWeights` without weights."""
        if PROTOCOL not in context.store:
            state = weights.load("inception")
            network, content = build_network(state).to(context.device), weights.content_hash(state)
            context.store[PROTOCOL] = cls(network, content, context.fingerprint)
        found: InceptionFeatures = context.store[PROTOCOL]
        return found

    @torch.inference_mode()
    def of(self, images: Tensor) -> Tensor:
        """Return features of images in [-1, 1], not clamped: (N, 2048), float32, on the CPU."""
        for batch, features in self._memory:
            if batch is images:
                return features
        inputs = ((images + 1) / 2).contiguous(memory_format=torch.channels_last)
        maps: Tensor = self.network(inputs)[0]
        features = maps.flatten(1).float().cpu()
        self._memory = [*self._memory[-1:], (images, features)]
        return features

    def of_target(self, images: Tensor, first: int) -> Tensor:
        """Return features of the test targets that start at image ``first``."""
        last = first + len(images)
        if self._known is not None and last <= len(self._known):
            return self._known[first:last]
        return self.of(images)

    def remember(self, features: Tensor) -> None:
        """Keep the features of all targets, shape (N, 2048), for other runs on this dataset."""
        if self._known is None and self.fingerprint:
            self._known = features
            path, metadata = self._path(), {"sha256": _digest(features)}
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                atomic_write(path, save({"features": features.contiguous()}, metadata=metadata))
            except (
                OSError,
                StoreError,
            ) as error:  # a full cache costs time in the next run, not this value
                _LOG.warning("features of the targets are not kept: %s", error)

    def _path(self) -> Path:
        """Return the file that the features of this dataset's targets are kept in."""
        identity = f"{PROTOCOL}/{self.content}/{self.fingerprint}".encode()
        return cache_dir() / "features" / f"{hashlib.sha256(identity).hexdigest()}.safetensors"

    def _read(self) -> Tensor | None:
        """Return the features of the targets from an earlier run, if the file is whole."""
        path = self._path()
        if not self.fingerprint or not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                features: Tensor = file.get_tensor("features")
                digest = (file.metadata() or {}).get("sha256")
        except SafetensorError:
            return None
        return features if _digest(features) == digest else None


def _digest(features: Tensor) -> str:
    return hashlib.sha256(features.contiguous().numpy().tobytes()).hexdigest()
