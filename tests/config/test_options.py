from __future__ import annotations

import pytest
from pydantic import Field, ValidationError

from vitald.config.options import (
    CheckOptions,
    Duration,
    ForwarderOptions,
    Percent,
    Section,
    Size,
    arguments,
)


class Options(CheckOptions):
    warning: Percent | None = Field(None, description="Limit.")
    size: Size = Field("1KiB", description="Size.", validate_default=True)
    wait: Duration = Field(1.0, description="Time.")
    text: str = Field("", description="Text.")


def errors(model, **values) -> list[tuple[object, ...]]:
    with pytest.raises(ValidationError) as caught:
        model(**values)
    return [(*error["loc"], error["msg"]) for error in caught.value.errors()]


def test_a_check_has_the_scheduling_defaults_that_are_promised():
    options = CheckOptions()
    assert (options.interval, options.timeout) == (30.0, 5.0)
    assert (options.fail_after, options.recover_after, options.depends_on) == (3, 2, ())


def test_a_timeout_that_nobody_chose_fits_into_a_short_interval():
    assert CheckOptions(interval="4s").timeout == 2.0
    assert CheckOptions(interval="20s").timeout == 5.0


def test_a_timeout_must_be_shorter_than_the_interval():
    message = "Value error, must be shorter than the interval: 10s is not below 10s"
    assert errors(CheckOptions, interval="10s", timeout="10s") == [("timeout", message)]


def test_a_forwarders_pauses_must_be_in_order():
    message = "Value error, must not be shorter than retry_initial: 1s is below 2s"
    assert errors(ForwarderOptions, retry_initial=2, retry_max=1) == [("retry_max", message)]


@pytest.mark.parametrize("field", ["interval", "timeout"])
def test_a_time_of_nothing_is_refused(field):
    assert (field, "Input should be greater than 0") in errors(CheckOptions, **{field: 0})


def test_values_are_read_as_people_write_them_and_written_back_so():
    options = Options(warning="80%", size="64KiB", wait="200ms", interval="1m")
    assert (options.warning, options.size, options.wait) == (80.0, 65536, 0.2)
    assert Options(**options.model_dump(mode="json")) == options
    written = options.model_dump(mode="json")
    assert (written["warning"], written["size"], written["wait"]) == ("80%", "64KiB", "200ms")


def test_a_default_may_be_written_as_people_write_it():
    assert Options().size == 1024


def test_options_are_frozen_and_know_their_keys():
    with pytest.raises(ValidationError):
        Options().text = "y"
    assert errors(Options, txet="y") == [("txet", "Extra inputs are not permitted")]


def test_no_key_takes_a_number_that_is_none():
    class Ratio(Section):
        ratio: float

    assert errors(Ratio, ratio=float("nan")) == [("ratio", "Input should be a finite number")]
    assert errors(Ratio, ratio="inf") == [("ratio", "Input should be a finite number")]


def test_arguments_are_the_fields_that_the_plug_in_added():
    assert arguments(Options(text="y"), CheckOptions) == {
        "warning": None,
        "size": 1024,
        "wait": 1.0,
        "text": "y",
    }


@pytest.mark.parametrize("model", [CheckOptions, ForwarderOptions])
def test_every_common_field_is_described(model):
    assert all(field.description for field in model.model_fields.values())
