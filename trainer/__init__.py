"""Train character, byte and subword language models on a prepared corpus."""
