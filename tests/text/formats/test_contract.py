"""What every format keeps: see `pipeline.text.pieces.Format`. A new one needs a sample."""

import itertools
import pickle
import random
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest
from samples import SAMPLES, Sample

from pipeline.files import file_status
from pipeline.text.documents import read_parts
from pipeline.text.formats import FORMATS, JsonArray
from pipeline.text.pieces import Candidate, Format, Part, Piece, Source
from pipeline.text.sources import candidate_of

# Each sample at two sizes of a search, which only cuts inside a document depend on.
SEARCHES = (0, 8)


class Found(NamedTuple):
    sample: Sample
    candidate: Candidate
    source: Source


@pytest.fixture(scope="module", params=[pytest.param(s, id=s.name) for s in SAMPLES])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A sample, and what was found."""
    sample: Sample = request.param
    path = sample.make(tmp_path_factory.mktemp("sample"))
    candidate = Candidate(path=path, name="a name")
    if Path(path).exists():
        candidate = candidate_of(path, "a name", file_status(path), sample.reading)
    sources = [kind.find(candidate, sample.reading) for kind in FORMATS]
    source = next(source for source in sources if source is not None)
    assert sources[FORMATS.index(sample.kind)] == source, "of its own format, the first that takes"
    return Found(sample, candidate, source)


def read(source: Source, start: int, stop: int) -> list[Part]:
    return list(read_parts(Piece(source=source, start=start, stop=stop)))


def texts(source: Source, bounds: Iterable[int]) -> list[bytes]:
    """The documents of the pieces between bounds."""
    pieces = itertools.pairwise(sorted({0, *bounds, source.length}))
    parts = [part for start, stop in pieces for part in read(source, start, stop)]
    if source.is_document:
        return [b"".join(part.text for part in parts)]
    return [part.text for part in parts]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_has_a_sample(kind: type[Format]) -> None:
    assert any(sample.kind is kind for sample in SAMPLES)


def test_a_source_is_found_by_its_own_format_alone(found: Found) -> None:
    """But plain text, which takes what is left."""
    sample, candidate, source = found
    assert type(source.format) is sample.kind
    for kind in FORMATS[: FORMATS.index(sample.kind)]:
        assert kind.find(candidate, sample.reading) is None
    assert source.length > 0
    assert source.source_bytes >= source.length
    assert source.name
    assert source.is_document == source.format.is_document
    has_text = not sample.reading.token_bytes
    assert source.format.is_plain_text == (sample.reading.text_field is None and has_text)


def test_the_documents_are_those_of_the_sample(found: Found) -> None:
    sample, _, source = found
    assert texts(source, []) == list(sample.documents)


def test_a_cut_is_a_boundary_at_the_offset_or_soon_after(found: Found) -> None:
    sample, _, source = found
    cuts = set()
    for offset, search_bytes in itertools.product(range(1, source.length), SEARCHES):
        cut = source.cut(offset, search_bytes)
        assert offset <= cut <= source.length
        cuts.add(cut)
    assert len(cuts) > 1 or source.format.compression or sample.kind is JsonArray
    for cut in cuts:
        assert texts(source, [cut]) == list(sample.documents)


def test_any_cuts_give_every_document_exactly_once(found: Found) -> None:
    sample, _, source = found
    draw = random.Random(0)
    for _ in range(6):
        offsets = draw.sample(range(1, source.length), k=min(3, source.length - 1))
        cuts = [source.cut(offset, draw.choice(SEARCHES)) for offset in offsets]
        assert texts(source, cuts) == list(sample.documents)


def test_what_is_done_is_never_more_than_the_piece(found: Found) -> None:
    sample, _, source = found
    parts = read(source, 0, source.length)
    assert all(part.num_done >= 0 for part in parts)
    assert source.source_bytes // 2 < sum(part.num_done for part in parts) <= source.source_bytes
    assert [part.final for part in parts[:-1]] == [not source.is_document] * (len(parts) - 1)
    assert parts[-1].final
    positions = [part.position for part in parts]
    assert positions == sorted(positions)
    assert source.is_document or len(set(positions)) == len(sample.documents)


def test_a_place_names_the_source_and_the_document(found: Found) -> None:
    _, _, source = found
    positions = {part.position for part in read(source, 0, source.length)}
    places = {source.place_of(position) for position in positions}
    assert all(source.path in place for place in places)
    assert len(places) == len(positions)
    if source.format.token_bytes:
        return  # ids are no text
    problems = {source.format.problem_of(source.path, min(positions), byte) for byte in (7, 8)}
    assert len(problems) == 2
    assert all(source.path in problem for problem in problems)
    assert all("is not UTF-8 at byte" in problem for problem in problems)


def test_a_source_goes_to_workers_as_it_is(found: Found) -> None:
    _, _, source = found
    assert pickle.loads(pickle.dumps(source)) == source
