"""What a run's trading is worth believing: metrics with their intervals, breakdowns, and red flags. Numbers alone."""
