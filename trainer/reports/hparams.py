"""Options of a run for TensorBoard's page HParams, without the TensorBoard package.

The page has a row for each directory with a `SessionStartInfo`, and as its columns the options
there and the last values of the curves in and below that directory. The message is of
`tensorboard/plugins/hparams/plugin_data.proto`; of its fields those are written that make a row:

    HParamsPluginData { SessionStartInfo session_start_info = 3; }
    SessionStartInfo {
      map<string, google.protobuf.Value> hparams = 1;
      double start_time_secs = 5;
    }

The map is what a `google.protobuf.Struct` is made of, so it is written as one.
"""

import dataclasses
import struct
from typing import Any

from google.protobuf import struct_pb2

from pipeline.options import flag_text
from trainer.config import TrainConfig

PLUGIN, TAG = "hparams", "_hparams_/session_start_info"
_LEFT_OUT = ("output", "events", "cache_dir")  # where a run lies is no property of it


def changed_options(config: TrainConfig) -> dict[str, Any]:
    """Returns the options that differ from their defaults, and the corpus.

    What is neither number, truth value nor text is the text of its flag.
    """
    options = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in _LEFT_OUT and value is not None and value != field.default:
            is_plain = isinstance(value, (bool, int, float, str))
            options[field.name] = value if is_plain else flag_text(value)
    return options


def session_bytes(options: dict[str, Any], *, started: float) -> bytes:
    """Returns a serialised `HParamsPluginData` with the options of a run.

    Args:
        options: name -> number, truth value or text.
        started: when, in seconds since 1970.
    """
    message = struct_pb2.Struct()
    message.update(options)
    fields = message.SerializeToString(deterministic=True)
    fields += bytes([5 << 3 | 1]) + struct.pack("<d", started)
    length, encoded = len(fields), bytearray([3 << 3 | 2])
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(encoded) + bytes([length]) + fields
