"""Planning and carrying out a run, for the command line and for Python alike."""
