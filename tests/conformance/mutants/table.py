"""Plugins with one planted defect each: a sound one, a textual change, the check that sees it.

``also`` names other checks that rightly see the same defect.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
NET = "        return upsampled(lr, self.problem.scale) + self.net(lr)\n"
LOOP = "        for step in training.steps(self.params.iterations):\n"
MINIMIZE = "            step.minimize(loss, optimizer)\n"
LOSS = "            loss = (colour(mapped) - colour(hr)).square().sum()\n"
DRAW = ("            lr, hr = training.lr(self.params.batch_size), "
        "training.hr(self.params.batch_size)\n")
MAPPED = "            mapped = self(lr)\n"
FIT = "    def fit(self, training):\n"
FORWARD = "    def forward(self, lr):\n"


# What asks for T of test photographs of odd sizes too.
EVERY_MAP = ("output-shape", "output-dtype", "output-range", "batch-independent",
             "forward-repeats", "forward-keeps-its-input", "save-and-load", "resume-is-exact",
             "same-seed-same-bits", "evaluation-leaves-weights-and-buffers")


@dataclass(frozen=True)
class Mutant:
    """One plugin.

    Parameters
    ----------
    name : str
        What is wrong with it; also the name of its file.
    base : str
        The sound plugin it is made from: ``sound_<base>.py``.
    check : str
        The check that must fail, or warn.
    changes : tuple of (str, str)
        Text that occurs once, and what stands in its place.
    also : frozenset of str
        Checks that may fail too.
    """

    name: str
    base: str
    check: str
    changes: tuple[tuple[str, str], ...]
    also: frozenset[str] = frozenset()

    def source(self) -> str:
        """Text of the plugin; raises `ValueError` if a change does not fit the sound one."""
        text = (FOLDER / f"sound_{self.base}.py").read_text(encoding="utf-8")
        for old, new in self.changes:
            if text.count(old) != 1:
                raise ValueError(f"{self.name}: {old!r} occurs {text.count(old)} times")
            text = text.replace(old, new)
        # Names of their own let all be loaded into one catalog.
        return text.replace('name="sound', f'name="{self.name}').replace(
            '"sound-error/', f'"{self.name}/')

    @property
    def kind(self) -> str:
        """What it is: ``"method"``, ``"dataset"`` or ``"metric"``."""
        return "dataset" if self.base == "photographs" else self.base

    def write(self, folder: Path) -> Path:
        """Write the plugin into a folder and return its path."""
        path = folder / f"mutant_{self.name.replace('-', '_')}.py"
        path.write_text(self.source(), encoding="utf-8")
        return path


SOUND = tuple(Mutant(f"sound-{base}", base, "", ())
              for base in ("method", "dataset", "photographs", "metric"))


def method(name: str, check: str, *changes: tuple[str, str], also: tuple[str, ...] = ()) -> Mutant:
    return Mutant(name, "method", check, changes, frozenset(also))


def dataset(name: str, check: str, *changes: tuple[str, str],
            also: tuple[str, ...] = (), base: str = "dataset") -> Mutant:
    return Mutant(name, base, check, changes, frozenset(also))


def metric(name: str, check: str, *changes: tuple[str, str], also: tuple[str, ...] = ()) -> Mutant:
    return Mutant(name, "metric", check, changes, frozenset(also))


METHODS = (
    method("learns-from-test-pairs", "no-test-data",
           (MAPPED, "            lr, hr = next(iter(training._dataset.test_batches(8)))\n"
                    + MAPPED), also=("no-paired-data",)),
    method("draws-aligned-pairs", "no-paired-data",
           (DRAW, "            state = torch.Generator().manual_seed(step.index)\n"
                  "            again = torch.Generator().manual_seed(step.index)\n"
                  "            lr = training._dataset.sample_lr(8, state)\n"
                  "            hr = training._dataset.sample_hr(8, again)\n"),
           also=("images-counted", "seed-matters")),
    method("noise-seeded-by-the-clock", "same-seed-same-bits",
           ("import torch\n", "import time\n\nimport numpy as np\nimport torch\n"),
           (FIT, FIT + "        noise = np.random.default_rng(time.time_ns())\n"),
           (LOSS, LOSS + "            loss = loss * float(noise.uniform(0.5, 1.5))\n"),
           also=("resume-is-exact",)),
    method("seeds-torch-itself", "no-global-state",
           (FIT, FIT + "        torch.manual_seed(0)\n"), also=("seed-matters",)),
    method("always-the-same-start", "seed-matters",
           ("    def build(self):\n", "    def build(self):\n        torch.manual_seed(0)\n"),
           (DRAW, "            noise = torch.Generator().manual_seed(step.index)\n"
                  "            lr, hr = training.lr(8), training.hr(8)\n"
                  "            lr, hr = (torch.randn(x.shape, generator=noise)"
                  " for x in (lr, hr))\n"),
           also=("no-global-state",)),
    method("optimizer-is-not-tracked", "resume-is-exact",
           ("        optimizer = training.track(optimizer=optimizer)\n", ""),
           (MINIMIZE, "            optimizer.zero_grad()\n            loss.backward()\n"
                      "            optimizer.step()\n")),
    method("running-mean-is-not-tracked", "resume-is-exact",
           (FIT, FIT + "        mean = 0.0\n"),
           (LOSS, "            mean = 0.9 * mean + 0.1 * colour(hr)\n"
                  "            loss = (colour(mapped) - mean).square().sum()\n")),
    method("scale-outside-the-state", "save-and-load",
           ("    def build(self):\n", "    def build(self):\n        self.gain = 1.0\n"),
           (MINIMIZE, MINIMIZE + "            self.gain = 1 - 1e-3 * step.index\n"),
           (NET, "        return self.gain * (upsampled(lr, self.problem.scale) + self.net(lr))\n"),
           also=("resume-is-exact",)),
    method("batchnorm-stays-in-train-mode", "evaluation-leaves-weights-and-buffers",
           (FIT, "    def train(self, mode=True):\n        return super().train(True)\n\n" + FIT),
           also=("batch-independent", "save-and-load", "forward-repeats")),
    method("buffer-counts-calls", "evaluation-leaves-weights-and-buffers",
           ("    def build(self):\n", "    def build(self):\n"
            '        self.register_buffer("calls", torch.zeros(()))\n'),
           (FORWARD, FORWARD + "        self.calls += 1\n")),
    method("dropout-never-off", "forward-repeats",
           (NET, NET.replace("self.net(lr)", "F.dropout(self.net(lr), 0.3)")),
           also=("batch-independent", "save-and-load")),
    method("even-sizes-only", "any-size",
           (NET, "        half = lr[..., ::2, ::2] if lr.dim() == 4 else lr\n"
                 "        shift = self.net(half)\n"
                 "        if lr.dim() == 4:\n"
                 "            shift = F.interpolate(shift, scale_factor=2)\n"
                 "        return upsampled(lr, self.problem.scale) + shift\n"),
           also=EVERY_MAP),
    method("double-precision-output", "output-dtype",
           (NET, NET.rstrip() .replace("return ", "return (") + ").double()\n")),
    method("output-from-0-to-1", "output-range",
           (NET, NET.rstrip().replace("return ", "return torch.sigmoid(") + ")\n")),
    method("input-clamped-in-place", "forward-keeps-its-input",
           (FORWARD, FORWARD + "        lr.clamp_(-0.3, 0.3)\n")),
    method("item-in-every-step", "no-host-synchronisation",
           ("            step.log(loss=loss)\n", "            step.log(loss=loss.item())\n")),
    method("loop-of-its-own", "budget-of-steps",
           (LOOP, "        for _ in range(40):\n"),
           (MINIMIZE, "            optimizer.zero_grad()\n            loss.backward()\n"
                      "            optimizer.step()\n"),
           ("            step.log(loss=loss)\n", ""),
           also=("budget-of-time", "interrupt-obeyed", "resume-is-exact", "finite-and-logged")),
    method("swallows-interrupts", "interrupt-obeyed",
           (LOOP, "        try:\n            self.loop(training, optimizer)\n"
                  "        except Exception:\n            pass\n\n"
                  "    def loop(self, training, optimizer):\n" + LOOP)),
    method("calls-forward-directly", "calls-counted",
           (MAPPED, "            mapped = self.forward(lr)\n")),
    method("network-is-not-tracked", "calls-counted",
           (FIT, FIT + "        critic = nn.Sequential(nn.Flatten(), nn.LazyLinear(1)).to("
                       "training.device)\n        critic(training.hr(2))\n"
                       "        second = training.track(second=torch.optim.SGD("
                       "critic.parameters(), lr=1e-2))\n"),
           (MINIMIZE, MINIMIZE + "            step.minimize(critic(hr).mean().square(), second)\n"),
           also=("resume-is-exact",)),
    method("changes-the-folder", "no-global-state",
           ("import torch\n", "import os\n\nimport torch\n"),
           (FIT, FIT + '        os.chdir("/")\n')),
    method("changes-the-environment", "no-global-state",
           ("import torch\n", "import os\n\nimport torch\n"),
           (FIT, FIT + '        os.environ["SOUND_MODE"] = "1"\n')),
    method("changes-the-default-dtype", "no-global-state",
           (MINIMIZE, MINIMIZE + "            torch.set_default_dtype(torch.float64)\n"),
           also=("trains", "resume-is-exact")),
    method("file-written-elsewhere", "no-files-outside",
           ("import torch\n", "from pathlib import Path\n\nimport torch\n"),
           (MINIMIZE, MINIMIZE + '            Path(__file__).with_name("loss.txt").write_text('
                                 '"loss")\n')),
    method("asks-the-network", "no-network",
           ("import torch\n", "import urllib.request\n\nimport torch\n"),
           (FIT, FIT + "        try:\n"
                       '            urllib.request.urlopen("http://127.0.0.1:9/", timeout=1)\n'
                       "        except OSError:\n            pass\n")),
    method("thread-runs-on", "no-threads-left",
           ("import torch\n", "import threading\n\nimport torch\n"),
           (FIT, FIT + "        threading.Thread(target=threading.Event().wait, args=(600,)"
                       ").start()\n")),
    method("unknown-parameters-accepted", "parameters-typed",
           ("        iterations: int", '        model_config = {"extra": "allow"}\n\n'
            "        iterations: int"), also=("parameters-refuse-nonsense",)),
    method("no-licence", "metadata-licence", (', licence="MIT"', ', licence=""')),
    method("statistics-of-the-batch", "batch-independent",
           (NET, "        lr = lr - lr.mean(0, keepdim=True)\n" + NET)),
)

DATASETS = (
    dataset("fingerprint-from-the-clock", "fingerprint-is-stable",
            ("import hashlib\n", "import hashlib\nimport time\n"),
            ('words = f"sound', 'words = f"{time.time_ns()} sound')),
    dataset("fingerprint-from-hash", "fingerprint-is-stable",
            ("hashlib.sha256(words.encode())", "hashlib.sha256(str(hash(words)).encode())")),
    dataset("test-pairs-in-random-order", "test-pairs-repeat",
            ("import hashlib\n", "import hashlib\nimport random\n"),
            ("        for part in lr.split(batch_size):\n",
             "        order = random.Random().sample(range(size), size)\n"
             "        for part in lr[order].split(batch_size):\n")),
    dataset("global-randomness", "samples-follow-their-generator",
            ("colours = torch.rand(n, 3, 1, 1, generator=generator)",
             "colours = torch.rand(n, 3, 1, 1)"),
            also=("global-randomness-untouched", "test-pairs-repeat")),
    dataset("aligned-draws", "lr-and-hr-independent",
            ("        return noise(n, generator)\n",
             "        self.last = noise(n, generator)\n        return self.last\n"),
            ("        return GAIN * noise(n, generator)\n",
             '        last = getattr(self, "last", noise(n, generator))\n'
             "        return GAIN * (last if len(last) == n else noise(n, generator))\n"),
            also=("samples-follow-their-generator",)),
    dataset("variance-of-one-value", "known-map-facts",
            ("GAIN**2 * variance * dim", "GAIN**2 * variance")),
    dataset("validation-is-test", "validation-disjoint-from-test",
            ("self.pairs(2, 24,", "self.pairs(1, self.params.test_size,")),
    dataset("trains-on-test-images", "test-not-in-training",
            ("        return GAIN * noise(n, generator)\n",
             "        images = GAIN * noise(40, torch.Generator().manual_seed(1))\n"
             "        return images[torch.randint(40, (n,), generator=generator)]\n")),
    dataset("images-from-0-to-1", "samples-in-range",
            ("    return colours + torch.rand(n, 3, SIDE, SIDE, generator=generator) * 0.4 - 0.2\n",
             "    both = colours + torch.rand(n, 3, SIDE, SIDE, generator=generator) * 0.4 - 0.2\n"
             "    return (both + 1) / 2\n"),
            also=("known-map-facts",)),
    dataset("one-photograph-for-both-roles", "scenes-apart",
            ("        return super().train_images(role)\n",
             '        return super().train_images("hr")\n'), base="photographs"),
    dataset("crops-of-one-size", "crops-of-any-size",
            ("super().sample_lr(n, generator, size)", "super().sample_lr(n, generator)"),
            base="photographs"),
)

METRICS = (
    metric("direction-upside-down", "perfect-is-best", ('"lower"', '"higher"'),
           also=("worse-is-worse",)),
    metric("mean-of-batch-means", "batches-do-not-matter",
           (".mean((1, 2, 3)).tolist()", ".mean().reshape(1).tolist()"),
           also=("per-image-in-order",)),
    metric("prediction-clamped-in-place", "inputs-left-alone", ("clamp(", "clamp_(")),
    metric("randomness-of-its-own", "metric-repeats",
           ("from srbench import Metric", "import random\n\nfrom srbench import Metric"),
           (".tolist()\n", ".tolist()\n        self.values[-1] *= 1 + 0.1 * "
                           "random.Random().random()\n"),
           also=("batches-do-not-matter", "per-image-in-order", "perfect-is-best")),
    metric("protocol-of-another", "protocol-is-unique",
           ("sound-error/rgb-float-clamped/v1", "psnr/rgb-float-clamped/piq-eps1e-8/v1")),
)

MUTANTS = (*METHODS, *DATASETS, *METRICS)
