"""A trained run as files that need nothing but TensorFlow: see `export_run`."""

from trainer.export.directory import export_run

__all__ = ["export_run"]
