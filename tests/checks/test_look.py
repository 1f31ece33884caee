from __future__ import annotations

import asyncio
import math

import pytest

from vitald.checks.base import Observation, Result
from vitald.checks.look import MAX_OBSERVATIONS, Looker, tidy
from vitald.config.options import Secret, SecretURL
from vitald.status import Status


def look(samples, name, **options):
    return Looker(f"{samples.__name__}:{name}", options).look()


def test_a_result_comes_back_as_it_is(samples):
    assert look(samples, "Fine") == Result(Status.HEALTHY, "fine", (Observation("answer", 42.0),))


def test_a_coroutine_is_run_to_its_end(samples):
    assert look(samples, "FineLater").status is Status.HEALTHY


async def test_a_coroutine_is_awaited_on_the_running_loop(samples):
    looker = Looker(f"{samples.__name__}:FineLater", {})
    assert (await looker.look_here()).status is Status.HEALTHY
    looker = Looker(f"{samples.__name__}:Raises", {"error": ValueError("no")})
    assert (await looker.look_here()).message == "ValueError: no"


def test_the_check_is_built_once_and_kept(samples):
    looker = Looker(f"{samples.__name__}:CountsItsRuns", {})
    looker.prepare()
    assert [looker.look().message.split(" in ")[0] for _ in range(3)] == ["run 1", "run 2", "run 3"]


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ValueError("no such thing"), Status.CRITICAL, "ValueError: no such thing"),
        (RuntimeError("cannot log in: refused"), Status.CRITICAL, "cannot log in: refused"),
        (ValueError(""), Status.CRITICAL, "ValueError: ValueError"),
        (
            FileNotFoundError(2, "No such file", "/srv/x"),
            Status.CRITICAL,
            "cannot read /srv/x: no such file or directory",
        ),
        (PermissionError(13, "x", "/y"), Status.UNKNOWN, "cannot read /y: permission denied"),
        (ImportError("No module named 'x'"), Status.UNKNOWN, "ImportError: No module named 'x'"),
        (SystemExit("goodbye"), Status.CRITICAL, "SystemExit: goodbye"),
        (asyncio.CancelledError(), Status.CRITICAL, "CancelledError: CancelledError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_an_exception_is_a_failure_with_its_message(samples, error, status, message):
    assert look(samples, "Raises", error=error) == Result(status, message)


def test_a_check_that_cannot_be_built_is_unknown_and_names_the_class(samples):
    result = look(samples, "Unbuildable")
    assert result.status is Status.UNKNOWN
    assert result.message == "cannot build sample_checks:Unbuildable: No module named 'driver'"


def test_a_check_that_cannot_be_built_is_tried_again_at_the_next_look(samples, tmp_path):
    looker = Looker(f"{samples.__name__}:BuildsAtTheSecondTry", {"marker": tmp_path / "marker"})
    looker.prepare()
    assert looker.look().status is Status.HEALTHY


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "run() returned NoneType, not a Result"),
        (True, "run() returned bool, not a Result"),
        (Result(Status.HEALTHY, "x", ("load",)), "run() observed str, not an Observation"),
        (
            Result(Status.HEALTHY, "x", (Observation("load", "high"),)),
            "run() observed load = 'high', not a number",
        ),
    ],
    ids=["None", "True", "text for an observation", "text for a number"],
)
def test_what_is_no_result_is_unknown_and_says_what_it_is(samples, value, message):
    result = look(samples, "Returns", value=value)
    assert result.status is Status.UNKNOWN
    assert message in result.message


def test_a_status_that_does_not_exist_is_a_failure_of_the_check(samples):
    assert "9 is not a valid Status" in look(samples, "Returns", value=Result(9, "x")).message


def test_plain_numbers_and_lists_are_taken_for_what_they_mean(samples):
    result = look(samples, "Returns", value=Result(1, "x", [Observation("load", 2)]))
    assert result == Result(Status.WARNING, "x", (Observation("load", 2.0),))
    assert isinstance(result.status, Status)
    assert isinstance(result.observations[0].value, float)


def test_secrets_and_control_characters_do_not_get_into_messages(samples):
    result = look(
        samples,
        "ListsItsSecrets",
        password=Secret("hunter2"),
        url=SecretURL.read("postgresql://me:p%40ss@db/x"),
    )
    assert result.message == "cannot log in with *** at ***\ufffd[2J and more"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_unavailable(value):
    result = tidy(Result(Status.HEALTHY, "x", (Observation("a", value),)), ())
    assert result.observations == (Observation("a", None),)


def test_tags_are_sorted_and_clean():
    seen = Observation("a", 1, (("path", "/a\x1b[0m"), ("check", "b")))
    (item,) = tidy(Result(Status.HEALTHY, "x", (seen,)), ()).observations
    assert item == Observation("a", 1.0, (("check", "b"), ("path", "/a\ufffd[0m")))


def test_a_flood_of_numbers_is_cut_and_said(samples):
    flood = tuple(Observation(f"n{number}", number) for number in range(MAX_OBSERVATIONS + 5))
    result = tidy(Result(Status.HEALTHY, "fine", flood), ())
    assert len(result.observations) == MAX_OBSERVATIONS
    assert result.message == "fine (5 of 1005 numbers dropped)"


def test_an_empty_message_becomes_the_status_word():
    assert tidy(Result(Status.WARNING, " \n"), ()).message == "warning"
