"""Rows of the table: which model is trained on which text, for how long."""

import dataclasses

# A rate that falls to little: how many steps there are has to be known before.
_COSINE = ["--schedule=cosine", "--warmup_steps=100", "--min_learning_rate_ratio=0.05"]
_SMALL_BATCH = ["--batch_size=32", "--seq_len=64"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """A text and its splits by position.

    Attributes:
        file: its name in the folder of texts.
        splits: as `textreel prepare --splits` takes them.
    """

    file: str
    splits: str


SHAKESPEARE = Text(file="tinyshakespeare.txt", splits="train=0.9,validation=0.1")
WAR_AND_PEACE = Text(file="warpeace.txt", splits="train=0.8,validation=0.1,test=0.1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table.

    Attributes:
        name: by which `--only` takes it.
        text: what is trained on.
        seconds: of training steps; None where the peer has a number of steps of its own.
        options: of `textreel train`, or the peer's.
        peer: script in `peers`; None for textreel.
        minutes: that the whole run is expected to take on two cores.
        goal: nats a character to reach, or None.
    """

    name: str
    text: Text
    seconds: float | None
    options: tuple[str, ...]
    peer: str | None = None
    goal: float | None = None

    @property
    def minutes(self) -> float:
        """What the whole run takes on two cores, about."""
        return 4.0 if self.seconds is None else self.seconds / 60 * 1.15 + 1

    def options_text(self) -> str:
        """The options as they are typed."""
        return " ".join(
            [*self.options, *([] if self.seconds is None else [f"({self.seconds:g} s)"])]
        )


def _ours(name: str, text: Text, seconds: float, *options: str, goal: float | None = None) -> Row:
    return Row(name=name, text=text, seconds=seconds, options=options, goal=goal)


def _lstm(units: int, rate: str, *more: str) -> list[str]:
    return [f"--units={units}", f"--learning_rate={rate}", *_COSINE, *more]


def _shakespeare(seconds: float, name: str, goal: float) -> list[Row]:
    """The candidates for a time, from the narrowest to the widest."""
    bfloat16 = "--precision=bfloat16"
    candidates = {
        "defaults": [],
        "lstm256": _lstm(256, "4e-3", *_SMALL_BATCH),
        "lstm256-bf16": _lstm(256, "4e-3", *_SMALL_BATCH, bfloat16),
        "lstm384-bf16": _lstm(384, "3e-3", *_SMALL_BATCH, bfloat16),
        "lstm512-bf16": _lstm(512, "3e-3", *_SMALL_BATCH, bfloat16, "--dropout=0.1"),
        "mingru128x2": [
            "--model=mingru",
            *_lstm(128, "4e-3", "--layers=2", "--batch_size=16", "--seq_len=128"),
        ],
        "transformer128x4": [
            "--model=transformer",
            *_lstm(128, "2e-3", "--layers=4", "--batch_size=24", "--seq_len=64"),
        ],
    }
    return [
        _ours(f"{name}/{kind}", SHAKESPEARE, seconds, *options, goal=goal)
        for kind, options in candidates.items()
    ]


def _options_of_an_lstm(seconds: float, name: str) -> list[Row]:
    """What each option does to one LSTM in the same time, at the same rate.

    With `--tied` its embeddings are as wide as its layer.
    """
    added = {
        "lstm256": "",
        "dropout": "--dropout=0.2",
        "embedding-dropout": "--embedding_dropout=0.1",
        "recurrent-dropout": "--recurrent_dropout=0.2",
        "tied": "--tied",
        "layer-norm": "--layer_norm",
        "ema": "--ema=0.998",
        "muon": "--optimizer=muon",
        "wsd": "--schedule=wsd",
        "lanes": "--lanes",
    }
    base = _lstm(256, "4e-3", *_SMALL_BATCH)

    def options(added: str) -> list[str]:
        kept = [one for one in base if one.partition("=")[0] != added.partition("=")[0]]
        return [*kept, *added.split()]

    return [
        _ours(f"{name}/{kind}", SHAKESPEARE, seconds, *options(option))
        for kind, option in added.items()
    ]


_MINGRU_256 = [
    "--model=mingru",
    *_lstm(256, "2e-3", "--layers=3", "--batch_size=16", "--seq_len=256", "--dropout=0.2"),
]
ROWS = [
    Row(
        name="shakespeare-3min/nanogpt",
        text=SHAKESPEARE,
        seconds=None,
        options=("4 layers", "4 heads", "128 wide", "block 64", "batch 12", "2000 steps"),
        peer="nanogpt.py",
    ),
    Row(
        name="shakespeare-3min/nanogpt-as-long",
        text=SHAKESPEARE,
        seconds=180,
        options=("4 layers", "4 heads", "128 wide", "block 64", "batch 12"),
        peer="nanogpt.py",
    ),
    *_shakespeare(180, "shakespeare-3min", 1.60),
    *_options_of_an_lstm(90, "options-90s"),
    _ours(
        "shakespeare-30min/lstm512",
        SHAKESPEARE,
        1800,
        *_lstm(512, "3e-3", "--dropout=0.3", "--batch_size=32", "--seq_len=128", "--ema=0.998"),
        "--precision=bfloat16",
        goal=1.50,
    ),
    _ours(
        "shakespeare-30min/mingru256x3",
        SHAKESPEARE,
        1800,
        *_MINGRU_256,
        goal=1.50,
    ),
    _ours("warpeace/mingru256x3", WAR_AND_PEACE, 1800, *_MINGRU_256, goal=1.13),
    _ours(
        "warpeace/lstm512x2-lanes",
        WAR_AND_PEACE,
        2700,
        *_lstm(512, "3e-3", "--layers=2", "--dropout=0.3", "--seq_len=64", "--ema=0.998"),
        "--lanes",
        "--precision=bfloat16",
        goal=1.13,
    ),
]
