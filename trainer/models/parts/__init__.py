"""Parts of models: norms, attention, recurrences, dropout, and what compiles them on a CPU."""
