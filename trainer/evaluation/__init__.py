"""Evaluation of a model on a split: within training, and of a trained run."""
