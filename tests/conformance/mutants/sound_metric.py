"""A sound metric in one file: every check of metrics passes. Mutants are made from its text."""

from srbench import Metric, MetricInfo, Score, hookimpl


@hookimpl
def srbench_metrics():
    return [MetricInfo(name="sound", summary="Mean absolute error of clamped images.",
                       load=f"{__name__}:Error", title="error", direction="lower")]


class Error(Metric):
    protocol = "sound-error/rgb-float-clamped/v1"

    def __init__(self, context):
        super().__init__(context)
        self.values = []

    def update(self, prediction, target, lr):
        gap = prediction.clamp(-1, 1) - target
        self.values += gap.abs().mean((1, 2, 3)).tolist()

    def compute(self):
        return Score(value=sum(self.values) / len(self.values), count=len(self.values),
                     per_image=self.values)
