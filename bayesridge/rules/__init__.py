"""Which lambda: every rule of choosing it, side by side, with its uncertainty."""
