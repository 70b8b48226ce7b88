"""What plugins must hold to, as named checks that anybody can run on theirs."""
