"""Where tasks run: one module an engine, each with the same `run`."""
