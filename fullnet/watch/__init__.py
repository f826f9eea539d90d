"""Watching a script as it trains: its norms, accuracies and decay time, into a runs file."""
