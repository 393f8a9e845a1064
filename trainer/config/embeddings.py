"""Options of the embeddings: where a model's vectors come from, and when they move."""

import dataclasses

from pipeline.errors import OptionError
from pipeline.options import check_int, check_paths, option, path_flag


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddingOptions:
    """The embeddings of tokens."""

    # A run is known by the file's content, not by its path: see `trainer.embeddings.pretrained`.
    pretrained_embeddings: str | None = option(
        "file of vectors to start from: word2vec's or GloVe's text, word2vec's .bin, or .npy in "
        "the order of the ids; read at a run's first start alone",
        default=None,
        parse=path_flag,
        metavar="FILE",
        identity=False,
    )
    freeze_embeddings_steps: int = option(
        "first steps in which pretrained embeddings stay as they are; -1: always",
        default=0,
        parse=int,
    )

    def check_embeddings(self) -> None:
        """Refuses what breaks a rule.

        Raises:
            OptionError: an option does.
        """
        check_int(self, -1, "freeze_embeddings_steps")
        if self.pretrained_embeddings is None:
            if self.freeze_embeddings_steps:
                raise OptionError(
                    "`freeze_embeddings_steps` must not be given without "
                    "`pretrained_embeddings` (random vectors are not worth keeping), got "
                    f"{self.freeze_embeddings_steps}; leave it out or give "
                    "--pretrained_embeddings"
                )
            return
        check_paths(self, "pretrained_embeddings")
