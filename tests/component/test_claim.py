"""One daemon a database, and no writing to a file that is gone."""

from pathlib import Path

import pytest

from peepsd.errors import StoreError
from peepsd.store.database import open_database


async def test_a_second_daemon_is_told_before_it_changes_anything(tmp_path: Path) -> None:
    path = str(tmp_path / "peeps.sqlite")
    async with open_database(path, 0) as first:
        await first.writer.begin(1, 5000)
        with pytest.raises(StoreError, match="another peepsd is using"):
            async with open_database(path, 0):
                pass
        snapshot = await first.reader.snapshot(1)
        assert snapshot is not None
        assert snapshot["interrupted"] is None
    async with open_database(path, 9) as second:
        assert second.recovered == ["closed 1 snapshot cut short by a crash"]


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_a_deleted_file_takes_no_snapshots(tmp_path: Path, is_replaced: bool) -> None:
    path = tmp_path / "peeps.sqlite"
    async with open_database(str(path), 0) as database:
        await database.writer.begin(1, 5000)
        path.rename(tmp_path / "elsewhere")
        if is_replaced:
            path.write_bytes(b"")
        with pytest.raises(StoreError, match="deleted or replaced"):
            await database.writer.begin(2, 5000)
        (tmp_path / "elsewhere").rename(path)
        assert await database.writer.begin(3, 5000) == 2
