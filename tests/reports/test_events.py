"""events: scalars, texts and histograms, as TensorBoard reads them."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util
from training import tiny

from pipeline import Corpus
from trainer.loop import train
from trainer.reports.events import EventWriter, histogram_buckets


def test_no_histograms_unless_asked(char_corpus: Corpus, tmp_path: Path) -> None:
    train(tiny(char_corpus.directory, tmp_path, steps=2), quiet=True)
    events = EventAccumulator(str(tmp_path / "events/train"))
    events.Reload()
    assert not [tag for tag in events.Tags()["tensors"] if tag.startswith("weights/")]


def test_buckets_are_of_equal_width_and_count_every_finite_value() -> None:
    values = np.random.default_rng(0).normal(size=(7, 100))
    buckets = histogram_buckets(values)
    np.testing.assert_allclose(np.diff(buckets[:, 0]), np.ptp(values) / 30)
    assert (buckets[0, 0], buckets[-1, 1]) == (values.min(), values.max())
    for left, right, count in buckets[:-1]:
        assert count == ((values >= left) & (values < right)).sum()
    assert buckets[:, 2].sum() == 700

    with_gaps = np.append(values, [np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(histogram_buckets(with_gaps), buckets)
    same = histogram_buckets(np.full(5, 2.0))
    assert (same[:, :2] == 2.0).all()
    assert same[:, 2].tolist() == [0.0] * 29 + [5.0]
    assert not histogram_buckets(np.array([np.nan])).any()


def test_texts_and_scalars_come_back(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path)
    writer.scalar("loss", 0.5, step=3)
    writer.text("sample", "a\nb", step=4)
    writer.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    (loss,) = events.Tensors("loss")
    (sample,) = events.Tensors("sample")
    assert (loss.step, tensor_util.make_ndarray(loss.tensor_proto).item()) == (3, 0.5)
    assert (sample.step, sample.tensor_proto.string_val[0]) == (4, b"    a\n    b")


def test_events_module_makes_its_directory(tmp_path: Path) -> None:
    from trainer.reports.events import EventWriter

    writer = EventWriter(tmp_path / "a" / "b")
    writer.scalar("x", 1.5, step=3)
    writer.close()
    (path,) = (tmp_path / "a" / "b").iterdir()
    events = [
        tf.compat.v1.Event.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(path))
    ]
    assert (events[-1].step, events[-1].summary.value[0].tag) == (3, "x")


def test_what_is_done_again_is_shown_once(tmp_path: Path) -> None:
    """As after kill -9 between two saves: the first start has measured more than it has saved."""
    ahead = EventWriter(tmp_path / "events")
    for step in range(1, 10):
        ahead.scalar("train/loss", 99.0, step=step)
    ahead.scalar("validation/loss", 99.0, step=9)
    ahead.flush()  # and never closed
    writer = EventWriter(tmp_path / "events", start_step=6)
    for step in (7, 8, 9, 10):
        writer.scalar("train/loss", 1.0, step=step)
    writer.close()
    writer.close()
    # What TensorBoard itself shows from; `EventAccumulator` purges no tensors.
    events = plugin_event_accumulator.EventAccumulator(str(tmp_path / "events"), {"tensors": 0})
    events.Reload()
    steps = [event.step for event in events.Tensors("train/loss")]
    values = [tensor_util.make_ndarray(e.tensor_proto).item() for e in events.Tensors("train/loss")]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert values == [99.0] * 6 + [1.0] * 4
    assert events.Tensors("validation/loss") == []
