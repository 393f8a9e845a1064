"""TensorFlow Datasets: examples of a window each, `as_dataset`, shuffled by a buffer."""

from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from timing import GEOMETRIES, report, text

BUFFER = 10_000


class Windows(tfds.core.GeneratorBasedBuilder):
    """One split of windows that lie end to end, of a length that the configuration names."""

    pkg_dir_path = Path(__file__).parent
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=str(size + 1)) for size, _, _ in GEOMETRIES[1:]]

    def _info(self):
        tokens = tfds.features.Tensor(shape=(int(self.builder_config.name),), dtype=np.uint8)
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict({"t": tokens}))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        size, tokens = int(self.builder_config.name), np.fromfile(text, np.uint8)
        rows = tokens[: len(tokens) // size * size].reshape(-1, size)
        yield from ((index, {"t": row}) for index, row in enumerate(rows))


def make(seq_len, stride, batch_size):
    """Shuffled batches."""
    builder = Windows(data_dir=f"{text}.tfds", config=str(seq_len + 1))
    builder.download_and_prepare()
    windows = builder.as_dataset(split="train", shuffle_files=True).shuffle(BUFFER).repeat()
    batches = windows.batch(batch_size, drop_remainder=True).map(
        lambda batch: (tf.cast(batch["t"][:, :-1], tf.int32), tf.cast(batch["t"][:, 1:], tf.int32)),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return iter(batches.prefetch(tf.data.AUTOTUNE))


report(make, GEOMETRIES[1:])
