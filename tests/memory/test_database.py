"""The file: one owner, forward-only migrations with a backup, and transactions that are whole."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import numpy as np
import pytest

from memory.database import DEFAULT_DIMENSIONS, Database
from memory.errors import (
    DatabaseClosed,
    DatabaseCorrupt,
    DatabaseLocked,
    DatabaseTooNew,
    DatabaseUnusable,
)
from memory.queries import load_migrations, load_queries
from memory.store import MemoryStore
from memory.vectors import vector_text
from tests.memory.given import TEST, MemoryOf

OPEN_AND_WAIT = """
import sys
from pathlib import Path
from memory.database import Database
with Database(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""
OPEN_ONCE = "import sys, duckdb; duckdb.connect(sys.argv[1])"

FIRST = load_migrations()[0]
SECOND = "ALTER TABLE archives ADD COLUMN colour TEXT;"


def is_locked(path: Path) -> bool:
    """Whether another process is refused."""
    tried = subprocess.run([sys.executable, "-c", OPEN_ONCE, path], capture_output=True, text=True)
    return "Could not set lock" in tried.stderr


def version(path: Path) -> str:
    with duckdb.connect(str(path), read_only=True) as file:
        row = file.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
    return str(row and row[0])


def test_a_new_file_has_the_newest_schema(path: Path) -> None:
    Database(path).close()
    assert version(path) == str(len(load_migrations()))


def test_what_was_stored_is_there_after_closing_and_opening(path: Path) -> None:
    with MemoryStore(path, None) as store:
        ada = MemoryOf.new_agent(store, "Ada")
        ada.say("hello")
        state = ada.state()
    assert not path.with_name(path.name + ".wal").exists()
    with MemoryStore(path, None) as store:
        assert store.agent_state("Ada") == state


def test_a_folder_that_is_missing_is_made_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "mnemon.duckdb"
    Database(path).close()
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_what_is_made_is_for_its_owner_only(path: Path) -> None:
    def modes() -> dict[str, int]:
        return {made.name: made.stat().st_mode & 0o777 for made in path.parent.iterdir()}

    usual = os.umask(0)
    try:
        with MemoryStore(path, None) as store:
            ada = MemoryOf.new_agent(store, "Ada")
            assert modes() == {path.name: 0o600, path.name + ".wal": 0o600}
        assert modes() == {path.name: 0o600}
        with MemoryStore(path, None) as store:
            MemoryOf(store, ada.agent).archive("tea")
            assert modes() == {path.name: 0o600, path.name + ".wal": 0o600}
    finally:
        os.umask(usual)


def test_the_mode_that_somebody_gave_the_file_stays(path: Path) -> None:
    Database(path).close()
    path.chmod(0o640)
    Database(path).close()
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_that_another_process_has_open_is_refused_with_its_pid(path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", OPEN_AND_WAIT, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout and holder.stdout.readline() == "open\n"
        with pytest.raises(DatabaseLocked, match="give this one its own directory") as caught:
            Database(path)
        assert caught.value.holder_pid == holder.pid
    Database(path).close()


def test_a_file_is_opened_once_in_a_process_too(path: Path) -> None:
    with Database(path), pytest.raises(DatabaseLocked):
        Database(path.parent / "." / path.name)
    Database(path).close()


def test_stores_in_memory_are_independent() -> None:
    with MemoryStore(None, None) as one, MemoryStore(None, None) as other:
        MemoryOf.new_agent(one, "Ada").archive("tea")
        assert MemoryOf.new_agent(other, "Ada").found("tea") == []


def test_an_older_file_is_copied_and_then_migrated(path: Path) -> None:
    Database(path, migrations=[FIRST]).close()
    before = path.read_bytes()
    with Database(path, migrations=[FIRST, SECOND]) as database:
        assert is_locked(path), "the backup must not give up the lock"
        with database.read() as reader:
            assert reader.value("count_agents") == 0
    assert version(path) == "2"
    backup = path.with_suffix(".schema-1.backup")
    assert backup.read_bytes() == before and backup.stat().st_mode & 0o777 == 0o600


def test_what_the_first_schema_kept_is_there_after_all_migrations(path: Path) -> None:
    Database(path, migrations=[FIRST]).close()
    with duckdb.connect(str(path)) as file:
        file.execute(Path(__file__).with_name("first_schema.sql").read_text("utf-8"))
    with MemoryStore(path, None) as store:
        ada = MemoryOf(store, store.agent_state("Ada").agent)
        assert [block.value for block in ada.state().blocks] == ["Ada likes tea."]
        assert ada.found("uji") == ["Green tea from Uji."]
    assert version(path) == str(len(load_migrations()))


def test_a_migration_that_fails_leaves_the_version_before_it(path: Path) -> None:
    Database(path, migrations=[FIRST]).close()
    with pytest.raises(duckdb.Error):
        Database(path, migrations=[FIRST, SECOND, "CREATE TABLE x (a INT); SELECT * FROM missing;"])
    assert version(path) == "2"
    with Database(path, migrations=[FIRST, SECOND, "CREATE TABLE x (a INT);"]):
        pass
    assert version(path) == "3"


def test_migrating_twice_changes_nothing(path: Path) -> None:
    for _ in range(2):
        Database(path, migrations=[FIRST, SECOND]).close()
    assert version(path) == "2" and not list(path.parent.glob("*.backup"))


def test_a_file_of_a_newer_mnemon_is_refused_and_stays_as_it_is(path: Path) -> None:
    Database(path, migrations=[FIRST, SECOND]).close()
    before = path.read_bytes()
    with pytest.raises(DatabaseTooNew, match=r"schema version 2, .* up to 1; upgrade mnemon"):
        Database(path, migrations=[FIRST])
    assert path.read_bytes() == before and [path] == list(path.parent.iterdir())


def test_a_duckdb_file_of_another_program_is_refused_and_stays_as_it_is(path: Path) -> None:
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE invoices (number INT)")
    before = path.read_bytes()
    with pytest.raises(DatabaseUnusable, match="another program"):
        Database(path)
    assert path.read_bytes() == before


def test_every_query_is_valid_sql_for_the_schema() -> None:
    with Database(None) as database, database.scratch() as scratch:
        assert database.load_vss() is None
        scratch.rows("hnsw_attach")
        for name in ("hnsw_create", "hnsw_index"):
            scratch.rows_of(name, 1)
    with duckdb.connect() as engine:
        for query in load_queries(8).values():
            assert engine.extract_statements(query.replace("{collection}", "1"))


def test_a_transaction_that_fails_leaves_nothing(words_only: MemoryStore) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada")
    told = ada.events()
    with pytest.raises(KeyboardInterrupt), ada.write() as transaction:
        transaction.run("insert_meta", name="half", value="written")
        transaction.record("test", "subject", ada.agent.id)
        raise KeyboardInterrupt
    with ada.read() as reader:
        assert reader.value("read_meta", name="half") is None
    assert ada.events() == told


def test_vectors_that_cannot_be_replaced_keep_their_width(words_only: MemoryStore) -> None:
    database, too_wide = words_only.database, 1_000_000
    query = vector_text(np.ones(DEFAULT_DIMENSIONS, np.float32))
    with pytest.raises(duckdb.Error):
        database.replace_vectors(TEST, too_wide, "{}")
    with database.read() as reader:
        assert reader.rows("vector_scores", collection=1, docs="[1]", vector=query) == []


def test_a_reader_sees_one_moment(words_only: MemoryStore) -> None:
    ada = MemoryOf.new_agent(words_only, "Ada")
    with ada.read() as reader:
        assert reader.value("count_passages", archive_key=ada.agent.archive_key) == 0
        ada.archive("tea")
        assert reader.value("count_passages", archive_key=ada.agent.archive_key) == 0
        reader.renew()
        assert reader.value("count_passages", archive_key=ada.agent.archive_key) == 1


def test_closing_waits_for_who_still_reads_and_refuses_who_comes_after(path: Path) -> None:
    database = Database(path)
    reading, may_end = threading.Event(), threading.Event()
    seen: list[object] = []

    def read() -> None:
        with database.read() as reader:
            reading.set()
            may_end.wait(10)
            seen.append(reader.value("count_agents"))

    reader, closer = threading.Thread(target=read), threading.Thread(target=database.close)
    reader.start()
    reading.wait(10)
    closer.start()
    with pytest.raises(DatabaseClosed, match="shutting down"):
        while True:
            with database.read():
                assert is_locked(path)
    may_end.set()
    reader.join()
    closer.join()
    assert seen == [0] and not is_locked(path)
    database.close()


def test_a_closed_store_refuses_in_words(words_only: MemoryStore) -> None:
    words_only.close()
    with pytest.raises(DatabaseClosed), words_only.read():
        pass
    with pytest.raises(DatabaseClosed), words_only.write(TEST):
        pass


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 4096, bytes(range(256)) * 200])
def test_a_file_that_is_no_database_is_refused_and_stays_as_it_is(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    with pytest.raises(DatabaseCorrupt, match="restore a backup"):
        Database(path)
    assert path.read_bytes() == content
