"""Options of the model: its kind and its sizes."""

import dataclasses

from pipeline.errors import OptionError
from pipeline.options import check_int, check_number, check_paths, option, path_flag
from trainer.own_code import is_function_name

PRECISIONS = ("float32", "bfloat16", "float16")
MODELS = ("lstm", "gru", "mingru", "transformer")
RECURRENT = ("lstm", "gru", "mingru")
OUTPUTS = ("logits", "probabilities")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The kind of a model and its sizes."""

    model: str = option(
        f"kind of the model: {', '.join(MODELS)}, or your own Keras model as MODULE:FUNCTION",
        default="lstm",
        metavar="KIND",
    )
    outputs: str = option(
        "what a model of your own gives for each token id; probabilities: it ends in a softmax",
        default="logits",
        choices=OUTPUTS,
    )
    # A run is known by the weights that it took, not by their path: see `trainer.run.initial`.
    init_from: str | None = option(
        "run of the same vocabulary and sizes whose weights to start from (fine-tuning), by its "
        "best checkpoint; read at a run's first start alone",
        default=None,
        parse=path_flag,
        metavar="RUN",
        identity=False,
    )
    layers: int = option("number of layers", default=1, parse=int)
    units: int = option(
        "units of each recurrent layer; width of the MinGRU or Transformer", default=256, parse=int
    )
    embedding_dim: int | None = option(
        "size of a token's embedding vector; without it: 64, and the units with --tied, of a "
        "MinGRU or of a Transformer",
        default=None,
        parse=int,
    )
    heads: int | None = option(
        "attention heads of a Transformer; without it: one every 64 units",
        default=None,
        parse=int,
    )
    dropout: float = option(
        "share of each layer's outputs that training drops", default=0.0, parse=float
    )
    embedding_dropout: float = option(
        "share of the ids whose embeddings a training step of an LSTM or GRU takes for 0",
        default=0.0,
        parse=float,
    )
    recurrent_dropout: float = option(
        "share of the weights from state to state that a training step of an LSTM or GRU drops",
        default=0.0,
        parse=float,
    )
    tied: bool = option(
        "an LSTM or GRU predicts by its embeddings, whose size is then that of its units (a "
        "Transformer always does)",
        default=False,
    )
    layer_norm: bool = option("normalise what each layer of an LSTM or GRU gives", default=False)
    precision: str = option(
        "numbers in which layers compute; weights, logits and loss are float32 in any case",
        default="float32",
        choices=PRECISIONS,
    )

    def check_model(self) -> None:
        """Refuses what breaks a rule.

        Raises:
            OptionError: an option does.
        """
        if self.model not in MODELS and not self.is_custom_model:
            raise OptionError(
                f"`model` must be one of {', '.join(MODELS)}, or MODULE:FUNCTION, got "
                f"{self.model!r}"
            )
        if self.outputs != "logits" and not self.is_custom_model:
            raise OptionError(
                f"`outputs` must not be given with `model` {self.model!r} (it gives logits), got "
                f"{self.outputs}; leave --outputs out or use --model MODULE:FUNCTION"
            )
        check_paths(self, "init_from", or_none=True)
        check_int(self, 1, "layers", "units")
        check_int(self, 1, "embedding_dim", "heads", or_none=True)
        for name in ("dropout", "embedding_dropout", "recurrent_dropout"):
            check_number(self, name, "at least 0 and below 1", lambda rate: 0 <= rate < 1)
        for name in ("embedding_dropout", "recurrent_dropout", "tied", "layer_norm"):
            self._check_is_of_recurrent(name)
        if self.model == "transformer":
            self._check_heads()
        elif self.heads is not None and not self.is_custom_model:
            raise OptionError(
                f"`heads` must not be given with `model` {self.model!r} (it has no attention), "
                f"got {self.heads}; leave --heads out or use --model transformer"
            )
        if self._has_one_width and self.embedding_size != self.units:
            raise OptionError(
                f"`embedding_dim` must be the `units` ({self.units}) with "
                f"{'`tied`' if self.tied else f'`model` {self.model!r}'}, got "
                f"{self.embedding_dim}; leave --embedding_dim out"
            )

    def _check_is_of_recurrent(self, name: str) -> None:
        """Refuses an option that has no effect but with an LSTM or GRU; a user's own gets all."""
        if getattr(self, name) and self.model not in ("lstm", "gru") and not self.is_custom_model:
            raise OptionError(
                f"`{name}` must not be given with `model` {self.model!r} (it has no effect), got "
                f"{getattr(self, name)}; leave --{name} out or use --model lstm or gru"
            )

    def _check_heads(self) -> None:
        if self.units % (2 * self.num_heads):
            raise OptionError(
                f"`units` must be a multiple of twice the `heads` ({self.num_heads}) of a "
                f"Transformer, got {self.units}; change --units or --heads"
            )

    @property
    def is_custom_model(self) -> bool:
        """Whether `model` names a function of the user's, which gets all options."""
        return is_function_name(self.model)

    @property
    def dtype_policy(self) -> str:
        """Name of the Keras dtype policy of the layers."""
        return "float32" if self.precision == "float32" else f"mixed_{self.precision}"

    @property
    def embedding_size(self) -> int:
        """Size of an embedding vector: `embedding_dim`, or what its help says without one."""
        if self.embedding_dim is not None:
            return self.embedding_dim
        return self.units if self._has_one_width else 64

    @property
    def fixed_embedding_size(self) -> int | None:
        """The only size that an embedding vector may have; None where a file of vectors decides."""
        return self.units if self._has_one_width else self.embedding_dim

    @property
    def _has_one_width(self) -> bool:
        return self.tied or self.model in ("mingru", "transformer")

    @property
    def num_heads(self) -> int:
        """Attention heads of a Transformer: `heads`, or one every 64 units without it."""
        return max(1, self.units // 64) if self.heads is None else self.heads
