"""Stop texts: where text that comes in pieces ends, a stop text lying across some of them."""


class StopFilter:
    """Passes text on up to the first complete stop text, which it keeps to itself.

    No more is held back than what a stop text may yet begin with. Where the pieces are cut
    changes nothing in the text that passes. With the stop text `"end"`:

        pieces     "a e"   "nv"    "en"   "d of"
        passed     "a "    "env"   ""     ""  and it is over

    Args:
        stop_texts: the stop texts, none of them empty. Of two that are complete at one character,
            the longer counts.
    """

    def __init__(self, stop_texts: tuple[str, ...]) -> None:
        self._stop_texts = sorted(stop_texts, key=len, reverse=True)
        self._held = ""
        self.is_over = False  # whether a stop text came

    def feed(self, piece: str, *, final: bool = False) -> str:
        """Takes a piece and returns the text that is certain now.

        Args:
            piece: any text, also an empty one.
            final: nothing follows: what was held back is certain.
        """
        passed = ""
        for character in piece:
            if self.is_over:
                break
            self._held += character
            for stop in self._stop_texts:
                if self._held.endswith(stop):
                    self._held = self._held.removesuffix(stop)
                    self.is_over = True
                    break
            keep = 0 if self.is_over else self._num_uncertain()
            passed += self._held[: len(self._held) - keep]
            self._held = self._held[len(self._held) - keep :]
        if final:
            passed, self._held = passed + self._held, ""
        return passed

    def _num_uncertain(self) -> int:
        """The length of the longest end of `held` that a stop text begins with."""
        longest = max(map(len, self._stop_texts), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stop_texts):
                return length
        return 0
