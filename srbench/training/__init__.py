"""What `Method.fit` is handed: steps, samples, checkpoints, clocks, precision."""

from srbench.training.budget import Budget
from srbench.training.result import TrainingResult
from srbench.training.seeding import mix, seed_everything
from srbench.training.stage import Stage, Step
from srbench.training.training import Training

__all__ = ["Budget", "Stage", "Step", "Training", "TrainingResult", "mix", "seed_everything"]
