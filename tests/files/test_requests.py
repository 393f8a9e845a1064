"""Requests are summed by their classes; `tests/auditing/costs` compares them with a server's."""

from pipeline.files import Requests, asking


def test_requests_are_added_class_by_class() -> None:
    one = Requests(writes=1, reads=2, removals=3, out_bytes=4)
    assert one * 3 == one + one + one == Requests(writes=3, reads=6, removals=9, out_bytes=12)


def test_a_put_in_parts_takes_one_for_each() -> None:
    part = 5 * 2**20
    for scheme, more in (("s3", 2), ("gs", 1), ("az", 1)):
        looked = asking(scheme).read_in_vain
        few, many = (asking(scheme).put(parts * part) for parts in (3, 9))
        assert few == looked + Requests(writes=3 + more)
        assert many == few + Requests(writes=6)
        assert asking(scheme).put(10) == Requests(writes=1)
