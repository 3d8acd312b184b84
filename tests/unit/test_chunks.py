"""Rows in portions: none is lost, none is too heavy, packed or not."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from peepsd.core.chunks import HEAVY_BYTES, ROWS, Chunk, as_text, chunked

Row = tuple[str, str | None]


def rows(chunks: list[Chunk]) -> list[Row]:
    found: list[Row] = []
    for chunk in chunks:
        values = [as_text(value) for value in chunk.unpacked()]
        assert len(values) == 2 * chunk.count
        found += zip(values[::2], values[1::2], strict=True)  # type: ignore[arg-type]
    return found


@given(st.lists(st.tuples(st.text(max_size=3), st.none() | st.text(max_size=3)), max_size=20))
def test_nothing_is_lost_on_the_way(given_rows: list[Row]) -> None:
    for size in (0, HEAVY_BYTES):
        chunks = chunked(given_rows, size)
        assert rows(chunks) == given_rows
        sent = msgspec.msgpack.encode([chunk.as_packed() for chunk in chunks])
        assert rows(msgspec.msgpack.decode(sent, type=list[Chunk])) == given_rows


def test_many_rows_are_several_chunks() -> None:
    assert [c.count for c in chunked([("a", None)] * (2 * ROWS + 1), 0)] == [ROWS, ROWS, 1]


def test_heavy_rows_are_split_off() -> None:
    third, giant = "x" * (HEAVY_BYTES // 3), "y" * (2 * HEAVY_BYTES)
    given_rows = [("a", third), ("b", third), ("c", third), ("d", None), ("e", giant), ("f", None)]
    chunks = chunked(given_rows, 4 * HEAVY_BYTES)
    assert [(c.count, c.is_heavy) for c in chunks] == [
        (2, False),
        (2, False),
        (1, True),
        (1, False),
    ]
    assert rows(chunks) == given_rows
    assert rows([chunk.as_packed() for chunk in chunks]) == given_rows
    assert not isinstance(chunks[2].as_packed().unpacked()[1], str)


def test_no_rows_are_no_chunks() -> None:
    assert chunked([], 0) == chunked([], HEAVY_BYTES) == []
