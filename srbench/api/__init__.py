"""What plugin authors subclass; import it through `srbench`."""
