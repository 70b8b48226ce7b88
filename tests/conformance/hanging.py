"""Methods that hang, die, exit and print: what the processes of the checks must survive."""

import os
import signal
import sys
import time

from srbench import Method, MethodInfo, Skipped, hookimpl

WAYS = ("endless", "stuck", "dies", "prints")


@hookimpl
def srbench_methods():
    return [MethodInfo(name=f"hanging-{way}", summary=f"A method that ends by: {way}.",
                       load=f"{__name__}:{way.title()}") for way in WAYS]


class Vectors(Method):
    def build(self):
        if self.problem.is_image:
            raise Skipped("this is a toy for vectors alone")

    def fit(self, training):
        for _ in training.steps(3):
            training.lr(1)

    def forward(self, lr):
        return lr


class Endless(Vectors):
    def fit(self, training):
        while True:
            time.sleep(0.05)


class Stuck(Vectors):
    def notes(self):
        time.sleep(600)


class Dies(Vectors):
    def notes(self):
        sys.stdout.write("farewell\n")
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGSEGV)


class Prints(Vectors):
    def fit(self, training):
        sys.stdout.write('{"verdict": "failed"}\n')
        sys.stdout.flush()
        super().fit(training)

    def notes(self):
        raise SystemExit(3)
