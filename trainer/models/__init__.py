"""Models of every kind behind one face, `LanguageModel`. A further kind is one more branch."""

from typing import Any

from trainer.config import TrainConfig
from trainer.models.custom import build_custom_model
from trainer.models.language_model import Architecture, LanguageModel
from trainer.models.mingru import MinGRU
from trainer.models.parts.xla_flags import leave_out_ynnpack
from trainer.models.recurrent import RecurrentArchitecture, RecurrentModel
from trainer.models.transformer import Transformer, TransformerArchitecture

__all__ = ["LanguageModel", "build_model"]

leave_out_ynnpack()


def build_model(config: TrainConfig, vocabulary_size: int, *, use_cudnn: bool) -> LanguageModel:
    """Builds the model that a configuration describes, with initial weights.

    Args:
        config: the run's options.
        vocabulary_size: number of token ids.
        use_cudnn: let a GPU use cuDNN's recurrent kernels, which XLA cannot compile.

    Raises:
        UserError: a model of the user's own cannot be built or used.
    """
    sizes: dict[str, Any] = {
        "vocabulary_size": vocabulary_size,
        "num_layers": config.layers,
        "units": config.units,
        "dropout": config.dropout,
        "targets": config.targets,
        "seed": config.seed,
    }
    model: LanguageModel
    if config.is_custom_model:
        model = build_custom_model(config, vocabulary_size)
    elif config.model == "transformer":
        transformer = TransformerArchitecture(
            **sizes, heads=config.num_heads, context=config.seq_len
        )
        model = Transformer(transformer, recompute=config.recompute, dtype=config.dtype_policy)
    elif config.model == "mingru":
        model = MinGRU(Architecture(**sizes), dtype=config.dtype_policy)
    else:
        recurrent = RecurrentArchitecture(
            **sizes,
            cell=config.model,
            embedding_dim=config.embedding_size,
            embedding_dropout=config.embedding_dropout,
            recurrent_dropout=config.recurrent_dropout,
            tied=config.tied,
            layer_norm=config.layer_norm,
        )
        model = RecurrentModel(recurrent, use_cudnn=use_cudnn, dtype=config.dtype_policy)
    model.build()
    return model
