from __future__ import annotations

import threading

import pytest
from inbox import open_inbox
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session, declarative_base
from sqlalchemy.pool import NullPool, QueuePool

from vitald.contrib.sqlalchemy import instrument

metadata = MetaData()
users = Table(
    "users", metadata, Column("id", Integer, primary_key=True), Column("name", String, unique=True)
)


@pytest.fixture
def inbox():
    with open_inbox() as inbox:
        yield inbox


@pytest.fixture
def make_engine(tmp_path):
    engines = []

    def make(url=f"sqlite:///{tmp_path}/shop.db", **options):
        engine = create_engine(url, **options)
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def engine(make_engine):
    engine = make_engine()
    metadata.create_all(engine)
    return engine


def queries(inbox, engine="sqlite"):
    """Return the number of executions by kind."""
    prefix = f"sql_queries_total#engine:{engine},statement:"
    return {
        key.removeprefix(prefix): count
        for key, count in inbox.read().counters.items()
        if key.startswith(prefix)
    }


def errors(inbox):
    prefix = "sql_errors_total#engine:sqlite,statement:"
    return {
        key.removeprefix(prefix): count
        for key, count in inbox.read().counters.items()
        if key.startswith(prefix)
    }


def test_queries_are_counted_and_timed_by_kind(inbox, engine):
    instrument(engine, inbox.client)
    with engine.begin() as connection:
        connection.execute(insert(users), {"name": "ada"})
        connection.execute(insert(users), [{"name": "bob"}, {"name": "eve"}])
        connection.execute(users.update().where(users.c.name == "eve").values(name="eva"))
        assert len(connection.execute(select(users)).all()) == 3
        connection.execute(users.delete())
    assert queries(inbox) == {"insert": 2, "update": 1, "select": 1, "delete": 1}
    durations = inbox.samples["sql_query_duration_seconds#engine:sqlite,statement:insert"]
    assert len(durations) == 2
    assert all(0 < duration < 10 for duration in durations)
    assert errors(inbox) == {}


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT 1", "select"),
        ("  select 1", "select"),
        ("-- who\n/* and\nwhy */ SELECT 1", "select"),
        ("Insert into users (name) values ('x')", "insert"),
        ("REPLACE INTO users (id, name) VALUES (1, 'x')", "other"),
        ("PRAGMA user_version", "other"),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "other"),
    ],
)
def test_texts_are_known_by_their_first_word(inbox, engine, statement, kind):
    instrument(engine, inbox.client)
    with engine.begin() as connection:
        connection.execute(text(statement))
        connection.exec_driver_sql(statement.replace("'x'", "'y'"))
    assert queries(inbox) == {kind: 2}


def test_constructs_are_known_whatever_they_begin_with(inbox, engine):
    instrument(engine, inbox.client)
    named = select(users.c.name).cte()
    with engine.begin() as connection:
        connection.execute(select(named))
        connection.execute(insert(users).from_select(["name"], select(named)))
        connection.execute(users.delete().where(users.c.name.in_(select(named.c.name))))
    assert queries(inbox) == {"select": 1, "insert": 1, "delete": 1}


def test_no_text_of_a_statement_becomes_a_tag(inbox, engine):
    instrument(engine, inbox.client)
    with engine.begin() as connection:
        for number in range(50):
            connection.execute(text(f"SELECT {number} AS secret_{number}"))
    assert queries(inbox) == {"select": 50}
    assert not [key for key in inbox.counters if "secret" in key]


def test_a_query_that_fails_is_a_query_and_an_error(inbox, engine):
    instrument(engine, inbox.client)
    with engine.begin() as connection:
        connection.execute(insert(users), {"name": "ada"})
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(insert(users), {"name": "ada"})
    with pytest.raises(OperationalError), engine.begin() as connection:
        connection.execute(text("SELECT * FROM nowhere"))
    assert queries(inbox) == {"insert": 2, "select": 1}
    assert errors(inbox) == {"insert": 1, "select": 1}
    key = "sql_query_duration_seconds#engine:sqlite,statement:insert"
    assert len(inbox.samples[key]) == 2


def test_a_connection_that_fails_is_an_error_of_its_own_kind(inbox, make_engine, tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/no/such/directory/x.db")
    instrument(engine, inbox.client)
    with pytest.raises(OperationalError):
        engine.connect()
    assert queries(inbox) == {}
    assert errors(inbox) == {"connect": 1}


def test_an_interrupted_query_is_counted(inbox, engine):
    """Ctrl-C and a cancelled task are no `Exception`."""
    instrument(engine, inbox.client)

    @event.listens_for(engine, "do_execute")
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), engine.connect() as connection:
        connection.execute(select(users))
    assert queries(inbox) == {"select": 1}
    assert errors(inbox) == {"select": 1}


class Base(declarative_base()):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    name = Column(String)


def test_sessions_of_the_orm_are_counted(inbox, engine):
    Base.metadata.create_all(engine)
    instrument(engine, inbox.client)
    with Session(engine) as session:
        session.add(Base(name="book"))
        session.commit()
        order = session.scalars(select(Base)).one()
        order.name = "pen"
        session.commit()
        session.delete(order)
        session.commit()
    found = queries(inbox)
    assert (found["insert"], found["update"], found["delete"]) == (1, 1, 1)
    assert found["select"] >= 1


def test_engines_are_told_apart_by_their_names(inbox, engine, make_engine):
    other = make_engine("sqlite://")
    instrument(engine, inbox.client, name="main")
    instrument(other, inbox.client, name="archive")
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    with other.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.execute(text("SELECT 1"))
    assert queries(inbox, "main") == {"select": 1}
    assert queries(inbox, "archive") == {"select": 2}


def pool_of(inbox):
    gauges = inbox.read().gauges
    return gauges["sql_pool_checked_out#engine:sqlite"], gauges["sql_pool_overflow#engine:sqlite"]


def test_the_pool_shows_what_is_out_and_what_is_beyond_its_size(inbox, make_engine):
    engine = make_engine(poolclass=QueuePool, pool_size=1, max_overflow=2)
    instrument(engine, inbox.client)
    first = engine.connect()
    assert pool_of(inbox) == (1, 0)
    second, third = engine.connect(), engine.connect()
    assert pool_of(inbox) == (3, 2)
    second.close()
    assert pool_of(inbox) == (2, 1)
    third.invalidate()
    third.close()
    first.close()
    assert pool_of(inbox) == (0, 0)


def test_a_detached_connection_is_out_no_more(inbox, make_engine):
    engine = make_engine(poolclass=QueuePool)
    instrument(engine, inbox.client)
    connection = engine.connect()
    connection.detach()
    assert pool_of(inbox) == (0, 0)
    connection.close()


def test_connections_that_outlive_their_pool_are_counted_until_they_return(inbox, make_engine):
    engine = make_engine(poolclass=QueuePool)
    instrument(engine, inbox.client)
    old, old_pool = engine.connect(), engine.pool
    engine.dispose()
    new = engine.connect()
    assert pool_of(inbox) == (2, 0)
    old.close()
    assert pool_of(inbox) == (1, 0)
    new.close()
    assert pool_of(inbox) == (0, 0)
    old_pool.dispose()


def test_a_pool_without_a_size_has_no_overflow(inbox, make_engine):
    engine = make_engine(poolclass=NullPool)
    instrument(engine, inbox.client)
    with engine.connect():
        gauges = inbox.read().gauges
    assert gauges == {"sql_pool_checked_out#engine:sqlite": 1}


def test_threads_lose_no_query(inbox, engine):
    instrument(engine, inbox.client)

    def work():
        for _ in range(100):
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queries(inbox) == {"select": 400}
    assert pool_of(inbox)[0] == 0


def test_two_instrumentations_of_one_engine_both_count_every_query(inbox, engine):
    instrument(engine, inbox.client, name="one")
    instrument(engine, inbox.client, name="two")
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    with pytest.raises(OperationalError), engine.connect() as connection:
        connection.execute(text("SELECT * FROM nowhere"))
    assert queries(inbox, "one") == queries(inbox, "two") == {"select": 2}
    for name in ("one", "two"):
        key = f"sql_query_duration_seconds#engine:{name},statement:select"
        assert len(inbox.samples[key]) == 2


def test_nothing_is_counted_after_stop(inbox, engine):
    instrumentation = instrument(engine, inbox.client)
    instrumentation.stop()
    instrumentation.stop()
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    assert queries(inbox) == {}
    assert inbox.gauges == {}


async def test_an_async_engine_is_instrumented_as_it_is(inbox, tmp_path):
    pytest.importorskip("aiosqlite")
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/shop.db")
    instrument(engine, inbox.client)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(insert(users), {"name": "ada"})
        assert (await connection.execute(select(users))).all() == [(1, "ada")]
    await engine.dispose()
    found = queries(inbox)
    assert (found["insert"], found["select"]) == (1, 1)
    assert inbox.gauges["sql_pool_checked_out#engine:sqlite"] == 0
