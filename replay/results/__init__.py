"""What a run's trading comes to: metrics with intervals, where profit was made, and what speaks against it."""
