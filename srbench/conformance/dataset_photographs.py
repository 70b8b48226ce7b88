"""Checks of a dataset of photographs: crops, whole training images, test patches."""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from srbench.conformance.check import Check, Failed, NotTried
from srbench.conformance.dataset_sampling import ROLES
from srbench.conformance.dataset_trial import Role, trial
from srbench.conformance.effects import CPU
from srbench.errors import DataError

LOOKED_AT = 16  # images of a role that are read
THUMBNAIL = 16
SAME_SCENE = 0.99  # correlation of thumbnails that different photographs do not reach
PATCHES = 256


def crops(subject: Any) -> None:
    """Crops of any size up to the extent can be had, larger ones are refused."""
    known = trial(subject)
    dataset, problem = known.photographs, known.photographs.problem
    if problem.domain != "sr":
        raise Failed(f'problem.domain={problem.domain!r}, a CropDataset has "sr"')
    for role, shape, extent in (("lr", problem.lr_shape, problem.lr_extent),
                                ("hr", problem.hr_shape, problem.hr_extent)):
        if extent < shape[-1]:
            raise Failed(f"problem.{role}_extent={extent} is less than the usual crop {shape[-1]}")
        draw = getattr(dataset, f"sample_{role}")
        for size in sorted({min(5, extent), shape[-1], extent}):
            samples = draw(2, torch.Generator(CPU).manual_seed(1), size=size)
            if samples.shape != (2, 3, size, size):
                raise Failed(f"sample_{role}(2, size={size}) has the shape {tuple(samples.shape)}")
        try:
            draw(1, torch.Generator(CPU).manual_seed(1), size=extent + 1)
        except DataError:
            continue
        except Exception as error:  # a plugin's arbitrary code
            raise Failed(f"sample_{role}(1, size={extent + 1}) raised {type(error).__name__}, "
                         "not srbench.errors.DataError") from error
        raise Failed(f"sample_{role}(1, size={extent + 1}) gave a crop although "
                     f"problem.{role}_extent={extent}")


def whole_images(subject: Any) -> None:
    """train_images gives whole uint8 photographs, each at least as large as the extent."""
    known = trial(subject)
    dataset = known.photographs
    for role in ROLES:
        images = dataset.train_images(role)
        extent = getattr(dataset.problem, f"{role}_extent")
        if not len(images):
            raise Failed(f'train_images("{role}") is empty')
        for index in _spread(len(images)):
            image = images[index]
            if image.dtype != torch.uint8 or image.dim() != 3 or len(image) != 3:
                raise Failed(f'train_images("{role}")[{index}] is {image.dtype} of shape '
                             f"{tuple(image.shape)}, not uint8 (3, h, w)")
            if min(image.shape[1:]) < extent:
                raise Failed(f'train_images("{role}")[{index}] is {tuple(image.shape[1:])}, '
                             f"smaller than problem.{role}_extent={extent}")


def scenes_apart(subject: Any) -> None:
    """LR and HR training images, and test images, show different scenes."""
    known = trial(subject)
    found = {f"{role.upper()} training image": _thumbnails(known.photographs, role)
             for role in ROLES}
    tests = known.test
    found["LR test image"] = torch.stack([_thumbnail(lr) for lr, _ in tests])
    found["HR test image"] = torch.stack([_thumbnail(hr) for _, hr in tests])
    names = list(found)
    for one, other in ((0, 1), (0, 2), (1, 3), (0, 3), (1, 2)):
        likeness = found[names[one]] @ found[names[other]].T
        at = int(likeness.argmax())
        if float(likeness.flatten()[at]) > SAME_SCENE:
            first, second = divmod(at, likeness.shape[1])
            raise Failed(f"{names[one]} {first} and {names[other]} {second} show one scene "
                         f"(thumbnails correlate by {float(likeness.flatten()[at]):.4f})")


def patches(subject: Any) -> None:
    """Test patches repeat, match their count, and are cut independently."""
    known = trial(subject)
    dataset, problem = known.photographs, known.photographs.problem
    if not dataset.patch_count:
        raise NotTried("it has no test patches")
    lr, hr = _patches(dataset, 64)
    if len(lr) != len(hr):
        raise Failed(f"test_patches yields {len(lr)} LR and {len(hr)} HR patches")
    side = lr.shape[-1]
    if lr.shape[1:] != (3, side, side) or hr.shape[1:] != (3, *[problem.scale * side] * 2):
        raise Failed(f"patches have the shapes {tuple(lr.shape[1:])} and {tuple(hr.shape[1:])} "
                     f"at scale {problem.scale}")
    again = _patches(dataset, 48)
    n = min(len(lr), len(again[0]))
    if not (torch.equal(lr[:n], again[0][:n]) and torch.equal(hr[:n], again[1][:n])):
        raise Failed("test_patches yields other patches for another batch size")
    aligned = (_flat(lr) * _flat(adaptive_avg_pool2d(hr, side))).sum(1) > SAME_SCENE
    if float(aligned.float().mean()) > 0.5:
        raise Failed("LR and HR patches of one place show the same part of a scene")
    _patch_numbers(dataset)


def _patch_numbers(dataset: Any) -> None:
    """Check patch_count and patch_scenes against what is yielded, where it is not too much."""
    count = dataset.patch_count
    scenes = dataset.patch_scenes()
    if scenes is not None and {len(part) for part in scenes} != {count}:
        raise Failed(f"patch_scenes() names {[len(part) for part in scenes]} patches, patch_count "
                     f"is {count}")
    if count <= 4096:
        found = sum(len(lr) for lr, _ in dataset.test_patches(256))
        if found != count:
            raise Failed(f"test_patches yields {found} patches, patch_count is {count}")


def _patches(dataset: Any, batch_size: int) -> tuple[Tensor, Tensor]:
    batches = list(islice(dataset.test_patches(batch_size), PATCHES // batch_size))
    if not batches:
        raise Failed(f"test_patches yields nothing, patch_count is {dataset.patch_count}")
    lr, hr = zip(*batches, strict=True)
    return torch.cat(lr), torch.cat(hr)


def _spread(count: int) -> list[int]:
    """Return up to `LOOKED_AT` indices, evenly spread."""
    return sorted({index * count // LOOKED_AT for index in range(LOOKED_AT)})


def _thumbnails(dataset: Any, role: Role) -> Tensor:
    images = dataset.train_images(role)
    return torch.stack([_thumbnail(images[index].float()) for index in _spread(len(images))])


def _thumbnail(image: Tensor) -> Tensor:
    return _flat(adaptive_avg_pool2d(image[None], THUMBNAIL))[0]


def _flat(images: Tensor) -> Tensor:
    """Return images as rows of mean 0 and length 1."""
    rows = images.double().flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    flat: Tensor = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return flat


CHECKS: tuple[Check, ...] = (
    Check(name="crops-of-any-size", kind="dataset", run=crops,
          what="sample_lr and sample_hr cut crops of every size up to the extent, and refuse "
               "larger ones.",
          remedy="Take size=None for the usual crop, and raise DataError above "
                 "problem.lr_extent or hr_extent, the smallest side of a training image."),
    Check(name="train-images-are-whole", kind="dataset", run=whole_images,
          what="train_images gives uint8 photographs (3, h, w), none smaller than the extent.",
          remedy="Return a sequence of uint8 tensors, and the smallest side as the extent."),
    Check(name="scenes-apart", kind="dataset", run=scenes_apart,
          what="LR training, HR training and test images show different scenes.",
          remedy="Give every scene to one of the sets: LR training, HR training or test."),
    Check(name="test-patches-repeat", kind="dataset", run=patches,
          what="Test patches are the same for every batch size, as many as patch_count, and not "
               "aligned.",
          remedy="Draw the places of LR and of HR patches from two generators with seeds of their "
                 "own, before cutting."),
)
