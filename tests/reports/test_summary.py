"""summary: the last lines of a run, whose commands can be typed."""

from trainer.reports.summary import summary_text

FIGURES = {
    "step": 300,
    "checkpoint": "my run/checkpoints/ckpt-300",
    "seconds": 61.0,
    "tokens_per_second": 53_012.3,
    "memory_bytes": 873_000_000,
}


def test_it_says_what_was_made_and_what_comes_next() -> None:
    best = {"bits_per_byte": 1.78123, "step": 200}
    assert summary_text("my run", **FIGURES, best=best, last=best).splitlines() == [
        "trained my run to step 300 in 1 min (53,012 tokens/s), peak memory 873 MB",
        "best validation: 1.7812 bits/byte, step 200",
        "newest checkpoint: my run/checkpoints/ckpt-300",
        "next:",
        "  textreel generate 'my run'",
        "  textreel evaluate 'my run'",
        "  textreel export 'my run' -o EXPORT",
        "  textreel curves 'my run' -o curves.png",
    ]


def test_without_a_validation_there_is_no_best_one() -> None:
    assert "best validation" not in summary_text("run", **FIGURES, best=None, last=None)


def test_its_last_line_says_when_validation_stopped_falling() -> None:
    best, last = {"bits_per_byte": 1.78123, "step": 200}, {"bits_per_byte": 1.9, "step": 300}
    assert summary_text("run", **FIGURES, best=best, last=last).splitlines()[-1] == (
        "validation stopped falling at step 200 (1.7812 bits/byte; 1.9000 at step 300): these "
        "commands take the checkpoint of step 200"
    )
