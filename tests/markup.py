"""What every page must be: well-formed, without scripts, with nothing to fetch."""

import html.parser
import re


class Tags(html.parser.HTMLParser):
    """Checks that what is opened is closed, and collects tags and ids."""

    EMPTY = ("meta", "path", "use", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.EMPTY:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


def fetched(page: str) -> list[str]:
    """What a browser would ask the network for."""
    found = re.findall(r'(?:src|href)="([^"#][^"]*)"|url\(([^#)][^)]*)\)|(@import)', page)
    return ["".join(each) for each in found]


def check_figures(page: str) -> int:
    """Each picture has a name and its numbers, in the page's own colours; returns how many."""
    figures = re.findall(r"<figure>.*?</figure>", page, re.DOTALL)
    for figure in figures:
        (name,) = re.findall(r'<svg role="img" aria-labelledby="([^"]+)"', figure)
        assert f'id="{name}"' in figure
        assert figure.count("<tr>") > 1
        assert "#0101" not in figure
        assert "#0303" not in figure
    return len(figures)
