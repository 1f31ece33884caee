"""What an integration records, as the sidecar's windows show it."""

from __future__ import annotations

import asyncio
import gc
import logging
import time

import pytest
from celery import Celery
from sqlalchemy import create_engine, text

from vitald.contrib import celery, sqlalchemy
from vitald.contrib.logging import MetricsHandler
from vitald.contrib.runtime import watch_runtime
from vitald.testing import Sidecar


@pytest.fixture
def sidecar():
    with Sidecar() as sidecar:
        yield sidecar


def test_celery(sidecar):
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True

    @app.task(name="add")
    def add(a, b):
        return a + b

    instrumentation = celery.instrument(app, sidecar.client())
    add.delay(1, 2)
    add.delay(3, 4)
    instrumentation.stop()
    app.close()
    sidecar.rotate()
    tags = {"task": "add", "state": "success"}
    assert sidecar.metric("celery_tasks_total", tags=tags).sum == 2
    assert sidecar.metric("celery_task_duration_seconds", tags=tags).count == 2


def test_sqlalchemy(sidecar, tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    sqlalchemy.instrument(engine, sidecar.client(), name="shop")
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()
    sidecar.rotate()
    tags = {"engine": "shop", "statement": "select"}
    assert sidecar.metric("sql_queries_total", tags=tags).sum == 1
    assert sidecar.metric("sql_query_duration_seconds", tags=tags).count == 1
    assert sidecar.metric("sql_pool_checked_out").last == 0


def test_logging(sidecar):
    handler = MetricsHandler(sidecar.client())
    handler.handle(logging.makeLogRecord({"name": "shop", "levelno": logging.ERROR}))
    sidecar.rotate()
    assert sidecar.metric("log_records_total", tags={"level": "error", "logger": "shop"}).sum == 1


async def test_runtime(sidecar):
    watch = watch_runtime(sidecar.client(), lag_interval=0.01)
    await asyncio.sleep(0.02)
    time.sleep(0.05)  # noqa: ASYNC251  this is what is measured
    await asyncio.sleep(0.02)
    gc.collect()
    watch.stop()
    sidecar.rotate()
    assert sidecar.metric("asyncio_loop_lag_seconds").max > 0.02
    assert sidecar.metric("python_gc_collections_total", tags={"generation": "2"}).sum >= 1
    assert sidecar.metric("python_threads").last >= 2
