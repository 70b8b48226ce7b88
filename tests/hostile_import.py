"""A module that a plugin's metadata names and that cannot be imported."""

raise RuntimeError("the hostile module breaks when it is imported")
