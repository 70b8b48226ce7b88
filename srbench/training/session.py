"""What happens around the steps of a training: stages, flushes, validations, checkpoints."""

from __future__ import annotations

import time

from srbench.errors import Interrupted
from srbench.training.clocks import Counts
from srbench.training.history import CLOCKS, VALIDATION
from srbench.training.monitor import check_weights
from srbench.training.progress import Progress, Schedule
from srbench.training.ranks import Decision
from srbench.training.state import State
from srbench.training.tracking import METHOD
from srbench.training.validation import undisturbed

CHECK_EVERY = 1000  # steps between two comparisons of the weights of several processes


class Session:
    """Runs the stages of one training.

    Parameters
    ----------
    state : State
        What is trained, counted and saved.
    """

    def __init__(self, state: State) -> None:
        self.state, self.settings = state, state.settings
        self._ledger, self._monitor, self._ranks = state.ledger, state.monitor, state.ranks
        self._entered: set[str] = set()
        self._open: Counts | None = None
        self._planned = 0
        self._validated = -1
        self._saved_at = time.perf_counter()
        self._values: dict[str, float] = {}
        self._budget = state.settings.budget

    def enter(self, name: str, steps: int, until: float = 1.0) -> Counts | None:
        """Begin the stage ``name``, or go on in it; None when a resumed one is finished.

        It ends when ``until`` of the budget is used up.

        Raises
        ------
        ValueError
            If the stage was run before in this process.
        StoreError
            If the checkpoint does not fit.
        """
        self.settle()
        if name in self._entered:
            raise ValueError(f"stage {name!r} was already run; open another with "
                             "training.stage(name)")
        self._entered.add(name)
        self.state.look()
        earlier = self._ledger.stages.get(name)
        if earlier is not None and earlier.finished:
            self.state.sampler.leave(name)
            return None
        self.state.pick_up()
        self.state.align()
        self._budget = self.settings.budget.until(until)
        counts = self._ledger.open(name)
        self.state.sampler.enter()
        self._open, self._planned, self._validated = counts, self._allowed(counts, steps), -1
        self._schedule = Schedule(self.settings.validations, self._planned, self._budget,
                                  counts.steps, self._ledger.seconds)
        self._progress = Progress(self.settings.on_event, name, self._planned, counts.steps)
        return counts

    def begins(self, counts: Counts) -> bool:
        """Whether the stage has a first step to run within the budget."""
        wish = Decision(going=self._goes_on(counts))
        return self._ranks.decide(counts.name, counts.steps, wish).going

    def _goes_on(self, counts: Counts) -> bool:
        return (counts.steps < self._planned
                and self._budget.allows(self._ledger.steps, self._ledger.seconds))

    def after_step(self, counts: Counts) -> bool:
        """Count the step, and flush, validate, tell, save and stop where it is time to.

        Returns
        -------
        bool
            Whether the stage goes on.

        Raises
        ------
        Diverged
            If a loss or gradient since the last flush is not finite.
        Interrupted
            If the training is asked to stop; a checkpoint is written before.
        """
        counts.steps += 1
        self._ranks.mean_statistics(self.state.tracked.statistics)
        going = self._goes_on(counts)
        due = self._schedule.due(counts.steps, self._ledger.seconds) or not going
        validate = due and self.settings.validate is not None
        # A validation takes its time, so what clocks and signals say is asked after it.
        wish = Decision(going, validate) if validate else self._ends(going)
        agreed = self._ranks.decide(counts.name, counts.steps, wish)
        if not agreed.going or counts.steps % self.settings.log_every == 0:
            self._flush(counts)
        if agreed.validate:
            self._validate(counts)
            agreed = self._ranks.decide(counts.name, counts.steps, self._ends(agreed.going))
        if counts.steps % CHECK_EVERY == 0:
            self.state.check(self._where(counts))
        self._tell(counts)
        if agreed.stop:
            self._stop(counts)
        if agreed.save:
            self._save(counts)
        return agreed.going

    def give_way(self, worked: bool) -> None:
        """Stop in the middle of a step if asked to; see `Training.give_way`."""
        if not self._ranks.follow(worked) or self._ranks.everywhere(
                not self.settings.should_stop()):
            return
        where = "" if self._open is None else f" within step {self._open.steps + 1} of stage " \
                                              f"{self._open.name!r}"
        raise Interrupted(f"stopped{where}",
                          hint="the same command goes on from the last checkpoint")

    def leave(self, counts: Counts) -> None:
        """Finish the stage."""
        self._ledger.close()
        counts.finished = True
        self._open = None
        self.state.sampler.leave(counts.name)

    def settle(self) -> None:
        """Finish a stage whose loop was left by ``break``."""
        if self._open is not None:
            counts = self._open
            self._ranks.mean_statistics(self.state.tracked.statistics)
            self._flush(counts)
            self._validate(counts)
            self.leave(counts)

    def close(self) -> None:
        """Finish the training: check the map's weights, save, take the hooks off.

        Raises
        ------
        Diverged
            If the map's weights are not finite.
        """
        self.settle()
        self.state.look()
        self.state.pick_up()
        steps = self._ledger.steps
        check_weights([(METHOD, self.state.method)], steps, "main")
        self.state.check("the end")
        if steps:
            self.state.save()
        self.state.tracked.release()

    def _ends(self, going: bool) -> Decision:
        """What this process wants to be done after the step besides a validation."""
        waited = time.perf_counter() - self._saved_at
        return Decision(going, stop=self.settings.should_stop(),
                        save=waited >= self.settings.checkpoint_seconds)

    def _where(self, counts: Counts) -> str:
        return f"step {counts.steps} of stage {counts.name!r}"

    def _allowed(self, counts: Counts, steps: int) -> int:
        """Return the steps of the stage that a budget of steps allows."""
        limit = self._budget.steps
        if limit is None:
            return steps
        return min(steps, counts.steps + max(0, limit - self._ledger.steps))

    def _flush(self, counts: Counts) -> None:
        """Read the logged values, look for divergence, append the means to the history."""
        self._monitor.read(counts.name)
        self._ledger.read()
        means = self._monitor.means()
        self._values = {**self._values, **means}
        self._keep("train", counts, means)

    def _validate(self, counts: Counts) -> None:
        """Run the validation off the clock, once for a step, and show it to the oracle."""
        if self.settings.validate is None or self._validated == counts.steps:
            return
        self._validated = counts.steps
        self._monitor.read(counts.name)
        method, started = self.state.method, time.perf_counter()
        with (self._ledger.paused(), self.state.precision.plain(),
              undisturbed(method, self.settings.device)):
            values = {name: float(value)
                      for name, value in self.settings.validate(method).items()}
            if values:
                self.state.oracle.look(next(iter(values.values())), self._ledger.steps, method)
        self._keep("validation", counts, values)
        self._progress.skip(time.perf_counter() - started)
        self.settings.on_event({"event": "validation", "stage": counts.name,
                                "step": counts.steps, "values": values})

    def _keep(self, kind: str, counts: Counts, values: dict[str, float]) -> None:
        """Append values, which are on the host, to the history, and tell them."""
        history, prefix = self.state.history, VALIDATION if kind == "validation" else ""
        row = len(history)
        history.add(self._ledger, counts.name, counts.steps,
                    {prefix + name: value for name, value in values.items()})
        if values:
            clocks = {name: history.columns[name][row] for name in CLOCKS}
            self.settings.on_event({"event": "scalars", "kind": kind, "stage": counts.name,
                                    "step": counts.steps, "row": row, **clocks, "values": values})

    def _tell(self, counts: Counts) -> None:
        limit = self._budget.seconds
        left = None if limit is None else limit - self._ledger.seconds
        self._progress.tell(counts.steps, left, self._values)

    def _stop(self, counts: Counts) -> None:
        where = f"stopped at step {counts.steps} of {self._planned} of stage {counts.name!r}"
        if not self.state.keeps:
            raise Interrupted(where, hint="nothing is saved: the training keeps no folder")
        self._save(counts)
        raise Interrupted(f"{where}; everything is saved",
                          hint="the same command goes on from here")

    def _save(self, counts: Counts) -> None:
        """Write a checkpoint and the history, off the clock."""
        started = time.perf_counter()
        if self.state.keeps:
            self._monitor.read(counts.name)
            self.state.check(self._where(counts))
            with self._ledger.paused():
                self.state.save()
            seconds = time.perf_counter() - started
            self._progress.skip(seconds)
            self.settings.on_event({"event": "checkpoint", "stage": counts.name,
                                    "step": counts.steps, "seconds": seconds})
        self._saved_at = time.perf_counter()
