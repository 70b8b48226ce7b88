"""What the plugins `ots` and `wgan-gp` share; a library, not a plugin of its own."""
