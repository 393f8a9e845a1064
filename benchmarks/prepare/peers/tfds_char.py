"""TensorFlow Datasets: a GeneratorBasedBuilder, blocks of 16,384 tokens."""

import sys
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

text, output = sys.argv[1:3]
table = np.arange(256, dtype=np.uint16)


class Text(tfds.core.GeneratorBasedBuilder):
    """One split of tokens."""

    pkg_dir_path = Path(__file__).parent
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        tokens = tfds.features.Tensor(shape=(None,), dtype=np.uint16, encoding="bytes")
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict({"t": tokens}))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        with open(text, "rb") as file:
            for index in range(2**40):
                block = file.read(2**14)
                if not block:
                    return
                yield index, {"t": table[np.frombuffer(block, np.uint8)]}


Text(data_dir=output).download_and_prepare()
