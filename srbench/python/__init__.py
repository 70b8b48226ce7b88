"""srbench from Python and notebooks: the other face of what the command line does."""
