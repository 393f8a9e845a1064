"""Run on disk: its directory, the identity that a restart must share, checkpoints, failures."""
