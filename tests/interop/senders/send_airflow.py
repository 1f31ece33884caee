"""Airflow's own metrics calls, with the client that its configuration names."""

import os
import sys
from urllib.parse import urlsplit

target = urlsplit(sys.argv[1])
os.environ["AIRFLOW__METRICS__STATSD_HOST"] = target.hostname or "127.0.0.1"
os.environ["AIRFLOW__METRICS__STATSD_PORT"] = str(target.port or 8125)


def make_logger():
    if target.scheme == "udp":
        from airflow.observability.metrics.statsd_logger import get_statsd_logger

        return get_statsd_logger()
    # What `[metrics] statsd_socket_path` makes (apache/airflow pull request 70517), which is in no
    # release yet.
    from airflow._shared.observability.metrics.statsd_logger import SafeStatsdLogger

    from vitald.client import UnixSocketStatsClient

    return SafeStatsdLogger(UnixSocketStatsClient(socket_path=target.path, prefix="airflow"))


def send(logger):
    tags = {"dag_id": "mail", "task_id": "send"}
    logger.incr("ti.start.mail.send", tags=tags)
    logger.incr("ti.start.mail.send", 2, tags=tags)
    logger.decr("ti.running", 1)
    logger.gauge("pool.open_slots", 128, tags=tags)
    logger.gauge("executor.drift", -3)  # two lines: 0|g and -3|g
    logger.timing("dagrun.duration.success.mail", 12.5, tags=tags)
    with logger.timer("dag_processing.total_parse_time"):
        pass
    timer = logger.timer("scheduler.loop")
    timer.start()
    timer.stop(send=False)


if __name__ == "__main__":
    logger = make_logger()
    assert type(logger.statsd).__module__ == "vitald.client.dropin", logger.statsd
    send(logger)
    logger.statsd.close()
