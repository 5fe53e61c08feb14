"""What a fit stands on and hands back: measurements, starts, facts of its models, its result."""
