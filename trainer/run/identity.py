"""Identity of a run: what must be equal for one start of a run to continue another."""

import dataclasses
from typing import Any

from pipeline.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """What must be equal for one start of a run to continue another.

    Attributes:
        corpus: fingerprint of the corpus, hex.
        vocabulary: fingerprint of the vocabulary, hex.
        settings: `TrainConfig.identity()`.
    """

    corpus: str
    vocabulary: str
    settings: dict[str, Any]

    def check(self, saved: "RunIdentity", run: str) -> None:
        """Refuses to continue a run that is not this one.

        Args:
            saved: the identity in the run's checkpoint.
            run: the run's directory, for the message.

        Raises:
            UserError: they differ; the message names both sides of every difference.
        """
        remedy = "train into another --output, or remove this one to start anew"
        for name in ("vocabulary", "corpus"):
            old, new = getattr(saved, name), getattr(self, name)
            if old != new:
                raise UserError(
                    f"{run}: this {name} is not the one the run was trained on: the run's "
                    f"{name} has the fingerprint {old[:16]}, the one given {new[:16]}; "
                    f"give the run's own corpus, or {remedy}"
                )
        differences = difference_texts(saved.settings, self.settings)
        if differences:
            raise UserError(
                f"{run} was trained with other settings: {'; '.join(differences)}. "
                f"Give the run's settings to resume it, or {remedy}"
            )


def difference_texts(
    saved: dict[str, Any], current: dict[str, Any], *, now: str = "now"
) -> list[str]:
    """Says in which settings two identities differ, one text for each, with both values.

    Args:
        saved: the settings of a run's checkpoint.
        current: others.
        now: what comes before the value of the latter.

    Example: `["`units`: the run has 256, now 512"]`.
    """
    differences = {
        name: f"`{name}`: the run has {saved.get(name)!r}, {now} {current.get(name)!r}"
        for name in dict.fromkeys([*current, *saved])
        if saved.get(name) != current.get(name)
    }
    if "decay_steps" in differences and saved.get("decay_steps") is not None:
        differences["decay_steps"] += (
            f" (where it is not given, it is --steps; give --decay_steps {saved['decay_steps']})"
        )
    return list(differences.values())
