"""What a run achieved: metrics against truth where it is known, and pictures to look at."""
