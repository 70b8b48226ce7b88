"""How methods and datasets are named on the command line: ``wgan-gp[lambda=100]``; no torch."""

from srbench.spec.grammar import format_value, parse_value, split_list
from srbench.spec.specs import Spec, expand, label, parse_settings, parse_specs

__all__ = [
    "Spec",
    "expand",
    "format_value",
    "label",
    "parse_settings",
    "parse_specs",
    "parse_value",
    "split_list",
]
