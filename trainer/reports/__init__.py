"""Reports of a run: the terminal, metrics, TensorBoard files, the summary, and curves."""
