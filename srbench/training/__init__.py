"""What `Method.fit` is handed: steps, samples, checkpoints, clocks, precision."""

from srbench.training.training import Stage, Step, Training

__all__ = ["Stage", "Step", "Training"]
