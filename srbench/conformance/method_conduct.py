"""Checks of what a method does besides learning: data it must not see, the process, the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from srbench.conformance.check import Check, Failed, NotTried
from srbench.conformance.method_training import result

if TYPE_CHECKING:
    from srbench.conformance.method_subject import MethodSubject

SHOWN = 4  # places that are listed
BROAD = "torch's generator"


def no_test_data(subject: MethodSubject) -> None:
    """Nothing held out was taken."""
    _none(subject.trained().watch.held_out, "{1} of the dataset is called in {0} during fit")


def no_paired_data(subject: MethodSubject) -> None:
    """Every draw went through the training."""
    _none(subject.trained().watch.direct, "{1} of the dataset is called in {0}, not through the "
          "training: seeds and pairs are the caller's")


def global_state(subject: MethodSubject) -> None:
    """The process is as it was."""
    first = subject.trained()
    _none(first.watch.seeded, "{1} is called in {0}: the harness seeds")
    if first.changes:
        raise Failed("building and fitting changed " + "; ".join(
            sentence.removeprefix("changed ") for sentence in first.changes))


def no_files_outside(subject: MethodSubject) -> None:
    """Files are written in the cell's folder only."""
    _none(subject.trained().watch.written, "{1} is written in {0}")


def no_network(subject: MethodSubject) -> None:
    """Nobody is asked over the network."""
    _none(subject.trained().watch.asked, "{1} is asked over the network in {0}")


def no_threads(subject: MethodSubject) -> None:
    """Nothing runs on."""
    left = subject.trained().left
    if left:
        raise Failed(f"after fit there still run: {', '.join(left)}")


def no_synchronisation(subject: MethodSubject) -> None:
    """No step waits for the device."""
    first = subject.trained()
    if not result(first).steps:
        raise NotTried("its training has no steps")
    _none(first.watch.synchronised, "{1} in {0}")


def notes(subject: MethodSubject) -> None:
    """Notes are sentences."""
    first = subject.trained()
    assert first.method is not None
    found = first.method.notes()
    if not isinstance(found, list) or not all(isinstance(note, str) for note in found):
        raise Failed(f"notes() returned {found!r:.80}, not a list of sentences")
    for note in found:
        if note != note.strip() or "\n" in note or not note.endswith((".", "!", "?")):
            raise Failed(f"the note {note!r} is no sentence on one line with a full stop")


def parameters_kept(subject: MethodSubject) -> None:
    """Parameters are as they were given."""
    subject.trained()
    before, after = subject.given, subject.plan().params.public()
    changed = [f"{name} from {before[name]!r} to {after.get(name)!r}" for name in before
               if before[name] != after.get(name)]
    if changed:
        raise Failed(f"building and fitting changed the parameter {'; '.join(changed)}")


def _none(found: dict[str, str], sentence: str) -> None:
    """Raise `Failed` with what was found and where; each place on its own."""
    if found:
        said = [sentence.format(place or "code of a library", what)
                for place, what in found.items()]
        more = f" and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
        raise Failed("; ".join(said[:SHOWN]) + more)


def _check(name: str, what: str, remedy: str, run: Any, *, warning: bool = False) -> Check:
    return Check(name=name, kind="method", what=what, remedy=remedy, run=run, warning=warning,
                 scope="problem")


CHECKS = (
    _check("no-test-data", "fit reaches no test or validation pair.", "Learn from training.lr(n) "
           "and training.hr(n) alone; the harness validates.", no_test_data),
    _check("no-paired-data", "Every draw is one of the harness, so that no pair can be had.",
           "Draw by training.lr(n) and training.hr(n); leave the dataset behind them alone.",
           no_paired_data),
    _check("no-global-state", "Working directory, environment, seeds, torch's settings, functions "
           "and signal handlers are as they were.", "Pass dtypes, devices and generators as "
           "arguments; change nothing that belongs to the whole process.", global_state),
    _check("no-files-outside", "Files are written in the cell's folder and in caches only.",
           "Write to training.scratch(name), or to a relative path.", no_files_outside),
    _check("no-network", "Building and fitting ask nobody over the network.", "Name backbones in "
           "requires(params), and fetch other files with srbench.files before the training.",
           no_network),
    _check("no-threads-left", "No thread or process runs on after fit.", "Join or close what fit "
           "starts, in a with block or finally.", no_threads),
    _check("no-host-synchronisation", "No step waits for the device in the plugin's own code.",
           "Log tensors, step.log(loss=loss), and decide by tensors: no .item(), float(), if on a "
           "tensor, .cpu(), .numpy(), .tolist(), print in a step.", no_synchronisation,
           warning=True),
    _check("notes-are-sentences", "notes() returns sentences for the record.", "Return a list of "
           "strings, each with its full stop.", notes),
    _check("parameters-not-mutated", "Parameters are as they were given.", "Copy lists and "
           "mappings of self.params before changing them.", parameters_kept),
)
