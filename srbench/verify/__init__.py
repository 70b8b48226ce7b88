"""Whether what lies in ``runs/`` is what was committed; see `srbench.verify.cells`."""
