"""What ``srbench new`` writes: a package with a working method or dataset, and its templates."""
