"""The pytest plugin, in the sessions of users."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

BOTH = """
    def test_a_value_is_recorded(vitald_recorder):
        vitald_recorder.incr("jobs")
        vitald_recorder.assert_incr("jobs")

    def test_a_value_is_aggregated(vitald_sidecar):
        vitald_sidecar.client().incr("jobs")
        vitald_sidecar.rotate()
        assert vitald_sidecar.metric("jobs").sum == 1
"""


@pytest.fixture
def run(pytester):
    def session(*arguments):
        # pytest-asyncio warns where it is not configured.
        arguments = ("-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error", *arguments)
        return pytester.runpytest_subprocess(*arguments)

    return session


def test_the_fixtures_are_there_without_any_configuration(pytester, run):
    pytester.makepyfile(BOTH)
    run().assert_outcomes(passed=2)


def test_each_test_and_each_worker_has_its_own(pytester, run):
    pytester.makepyfile("""
        import os
        import time

        import pytest

        @pytest.mark.parametrize("number", range(20))
        def test_one(number, vitald_sidecar, vitald_recorder, record_property):
            client = vitald_sidecar.client()
            client.incr("jobs")
            time.sleep(0.02)
            vitald_sidecar.rotate()
            assert vitald_sidecar.metric("jobs").sum == 1
            assert vitald_sidecar.ledger().lines == 1
            vitald_recorder.incr("jobs")
            vitald_recorder.assert_incr("jobs", 1)
            with open(f"worker-{os.environ['PYTEST_XDIST_WORKER']}", "w"):
                pass
    """)
    run("-n", "2").assert_outcomes(passed=20)
    assert {path.name for path in pytester.path.glob("worker-*")} == {"worker-gw0", "worker-gw1"}


def test_nothing_is_imported_before_a_fixture_is_asked_for(pytester, run):
    pytester.makepyfile("""
        import sys

        def of_vitald():
            return {name for name in sys.modules if name.startswith("vitald")}

        def test_before():
            assert of_vitald() == {"vitald", "vitald.testing", "vitald.testing.plugin"}

        def test_a_recorder_does_without_an_aggregator(vitald_recorder):
            assert not [name for name in of_vitald() if name.startswith("vitald.aggregator")]
    """)
    run().assert_outcomes(passed=2)


ENGINE = """
    def test_engine(vitald_sidecar):
        assert vitald_sidecar.engine == "python"
"""


def test_an_option_chooses_the_engine(pytester, run):
    pytester.makepyfile(ENGINE)
    run("--vitald-engine=python").assert_outcomes(passed=1)


def test_the_ini_file_chooses_the_engine(pytester, run):
    pytester.makeini("[pytest]\nvitald_engine = python")
    pytester.makepyfile(ENGINE)
    run().assert_outcomes(passed=1)


def test_an_unknown_engine_is_an_error_that_names_the_known_ones(pytester, run):
    pytester.makeini("[pytest]\nvitald_engine = fast")
    pytester.makepyfile(ENGINE)
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*cannot use vitald_engine = fast: it is none of auto, python, native"]
    )


def test_a_failure_is_shown_at_the_users_line_and_not_inside_of_vitald(pytester, run):
    pytester.makepyfile("""
        def test_jobs(vitald_recorder):
            vitald_recorder.assert_incr("jobs")

        def test_metric(vitald_sidecar):
            vitald_sidecar.metric("jobs")
    """)
    result = run()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines([">*vitald_recorder.assert_incr(*", ">*vitald_sidecar.metric(*"])
    result.stdout.no_fnmatch_line("*raise AssertionError*")


def test_clients_threads_and_files_end_with_the_test(pytester, run):
    pytester.makepyfile("""
        import os
        import threading

        seen = []

        def used():
            return threading.enumerate(), os.listdir("/proc/self/fd")

        def test_first(vitald_sidecar, vitald_recorder):
            vitald_sidecar.client().incr("jobs")

        def test_second():
            seen.append(used())

        def test_third(vitald_sidecar, vitald_recorder):
            vitald_sidecar.client().incr("jobs")

        def test_fourth():
            assert used() == seen[0]
    """)
    run().assert_outcomes(passed=4)
