"""Exporting a trained run, as files that need nothing but TensorFlow.

`directory` writes them: a SavedModel (`signatures`, `graph_text`), a `.keras` file
(`plain_keras`), and a README.md (`readme`).
"""
