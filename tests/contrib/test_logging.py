from __future__ import annotations

import logging
import logging.config

import pytest
from inbox import open_inbox

from vitald.contrib.logging import MetricsHandler


@pytest.fixture
def inbox():
    with open_inbox() as inbox:
        yield inbox


@pytest.fixture
def logger():
    logger = logging.getLogger("shop.orders")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.handlers.clear()
    logger.propagate = True
    logger.setLevel(logging.NOTSET)


def test_records_are_counted_by_level_and_logger(inbox, logger):
    logger.addHandler(MetricsHandler(inbox.client))
    logger.warning("one")
    logger.warning("two %s", 2)
    logger.error("three")
    assert inbox.read().counters == {
        "log_records_total#level:warning,logger:shop.orders": 2,
        "log_records_total#level:error,logger:shop.orders": 1,
    }


def test_the_message_is_never_formatted(inbox):
    class Secret:
        def __str__(self):
            raise AssertionError("formatted")

    record = {"name": "shop", "levelno": 20, "msg": "%s %s", "args": (Secret(),)}
    MetricsHandler(inbox.client).handle(logging.makeLogRecord(record))
    assert inbox.read().counters == {"log_records_total#level:info,logger:shop": 1}


def test_its_level_and_filters_are_those_of_any_handler(inbox, logger):
    handler = MetricsHandler(inbox.client, level="WARNING")
    handler.addFilter(lambda record: "skip" not in record.msg)
    logger.addHandler(handler)
    logger.info("below")
    logger.warning("skip this")
    logger.warning("count this")
    assert inbox.read().counters == {"log_records_total#level:warning,logger:shop.orders": 1}


def test_a_formatter_that_paints_the_level_makes_no_other_series(inbox, logger):
    class Painter(logging.Handler):
        def emit(self, record):
            record.levelname = f"\x1b[31m{record.levelname}\x1b[0m"

    logger.addHandler(Painter())
    logger.addHandler(MetricsHandler(inbox.client))
    logger.error("red")
    assert inbox.read().counters == {"log_records_total#level:error,logger:shop.orders": 1}


def test_a_level_without_a_name_is_counted_under_its_number(inbox, logger):
    logger.addHandler(MetricsHandler(inbox.client))
    logger.log(15, "between")
    assert inbox.read().counters == {"log_records_total#level:level 15,logger:shop.orders": 1}


def test_a_dictionary_configures_it(inbox):
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "metrics": {
                    "class": "vitald.contrib.logging.MetricsHandler",
                    "client": inbox.client,
                }
            },
            "loggers": {"shop.configured": {"handlers": ["metrics"], "propagate": False}},
        }
    )
    logging.getLogger("shop.configured").warning("counted")
    assert inbox.read().counters == {"log_records_total#level:warning,logger:shop.configured": 1}


def test_records_from_within_a_record_are_counted_too(inbox, logger):
    """A filter that logs, as a signal handler or a destructor may, comes in through the handler."""
    handler = MetricsHandler(inbox.client)

    def log_once(record):
        if record.msg == "outer":
            logger.info("inner")
        return True

    handler.addFilter(log_once)
    logger.addHandler(handler)
    logger.info("outer")
    assert inbox.read().counters == {"log_records_total#level:info,logger:shop.orders": 2}


def test_it_has_no_lock_that_a_handler_of_a_signal_could_wait_for(inbox):
    handler = MetricsHandler(inbox.client)
    assert handler.lock is None
    handler.acquire()
    handler.release()


def test_the_clients_own_warning_is_counted_and_begets_no_other(inbox, tmp_path, caplog):
    """Nobody listens: the flusher's thread logs it, so the handler records on that thread."""
    from vitald.client import Client

    root = logging.getLogger()
    with_nobody = Client(f"unixgram://{tmp_path}/nobody.sock", flush_interval=3600)
    handler = MetricsHandler(with_nobody)
    counting = MetricsHandler(inbox.client)
    root.addHandler(handler)
    root.addHandler(counting)
    try:
        with_nobody.incr("jobs")
        assert not with_nobody.flush(1)
        assert not with_nobody.flush(1)
    finally:
        root.removeHandler(handler)
        root.removeHandler(counting)
        with_nobody.close(timeout=0.1)
    counted = inbox.read().counters
    assert counted["log_records_total#level:warning,logger:vitald.client"] == 1
    assert len([record for record in caplog.records if record.name == "vitald.client"]) == 1


def test_handles_do_not_pile_up_with_made_up_names(inbox):
    handler = MetricsHandler(inbox.client)
    for index in range(2500):
        handler.handle(logging.makeLogRecord({"name": f"conn.{index}", "levelno": 20}))
    assert len(handler._counters) <= 1000
    assert sum(inbox.read().counters.values()) == 2500


@pytest.mark.parametrize(
    ("fields", "error"),
    [({"name": [], "levelno": {}}, "TypeError"), ({"levelno": "INFO"}, "AttributeError")],
    ids=["unhashable", "a level by name"],
)
def test_a_record_that_nobody_can_count_does_not_reach_the_caller(inbox, capsys, fields, error):
    handler = MetricsHandler(inbox.client)
    handler.handle(logging.makeLogRecord(fields))
    assert error in capsys.readouterr().err
    assert inbox.read().counters == {}


def test_threads_count_every_record(inbox, logger):
    import threading

    logger.addHandler(MetricsHandler(inbox.client))
    threads = [
        threading.Thread(target=lambda: [logger.info("x") for _ in range(500)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inbox.read().counters == {"log_records_total#level:info,logger:shop.orders": 2000}
