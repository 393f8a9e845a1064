"""Hosts and devices: who trains together, by which strategy, what they agree on, and signals."""
