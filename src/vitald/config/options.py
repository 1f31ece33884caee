"""The types and base models that checks and forwarders describe their options with.

A plug-in's class has an attribute `Options`: a subclass of `CheckOptions` or `ForwarderOptions`
with one described field per key of its section. Its validators may raise ValueError; the message
is shown behind the place of the value, and must not repeat a secret.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from vitald.config.secrets import Secret, SecretURL
from vitald.config.units import (
    read_duration,
    read_percent,
    read_size,
    write_duration,
    write_percent,
    write_size,
)

__all__ = [
    "CheckOptions",
    "Duration",
    "ForwarderOptions",
    "Percent",
    "Secret",
    "SecretURL",
    "Section",
    "Size",
    "arguments",
]

Duration = Annotated[
    float,
    BeforeValidator(read_duration),
    PlainSerializer(write_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "x-type": "duration",
            "anyOf": [
                {"type": "string", "pattern": r"^(\s?[0-9.]+\s?(us|µs|ms|s|m|h|d|w))+$"},
                {"type": "number", "minimum": 0},
            ],
        }
    ),
]
Size = Annotated[
    int,
    BeforeValidator(read_size),
    PlainSerializer(write_size, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "x-type": "size",
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9.]+\s?([kKMGTP]B|[KMGTP]iB|B)?$"},
                {"type": "integer", "minimum": 0},
            ],
        }
    ),
]
Percent = Annotated[
    float,
    BeforeValidator(read_percent),
    PlainSerializer(write_percent, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "x-type": "percentage",
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9.]+\s?%?$"},
                {"type": "number", "minimum": 0, "maximum": 100},
            ],
        }
    ),
]


class Section(BaseModel):
    """A part of the file: unknown keys are faults, nothing changes after loading.

    A field that wants text takes a number as it is written in the file. Defaults may be written
    the way users write values, because they are read alike.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )


class CheckOptions(Section):
    """When a check runs, and what its results need to change its status."""

    interval: Duration = Field(30.0, gt=0, description="Time from one run to the next.")
    timeout: Duration = Field(
        default_factory=lambda earlier: min(5.0, earlier.get("interval", 30.0) / 2),
        gt=0,
        description=(
            "A run that takes longer is abandoned and counts as failed; must be shorter than "
            "`interval`. Left out, it is half of `interval` where that is shorter."
        ),
        json_schema_extra={"shown": "5s"},
    )
    fail_after: int = Field(
        3, ge=1, le=1000, description="Bad results in a row before the status gets worse."
    )
    recover_after: int = Field(
        2, ge=1, le=1000, description="Good results in a row before the status gets better."
    )
    depends_on: tuple[str, ...] = Field(
        (), description="Names of checks; while one of them fails, this check is not run."
    )

    @field_validator("timeout")
    @classmethod
    def _shorter_than_interval(cls, timeout: float, info: ValidationInfo) -> float:
        interval = info.data.get("interval")
        if interval is not None and timeout >= interval:
            raise ValueError(
                f"must be shorter than the interval: {write_duration(timeout)} is not below "
                f"{write_duration(interval)}"
            )
        return timeout


class ForwarderOptions(Section):
    """What is done about a target that does not take an interval."""

    queue: int = Field(
        60,
        ge=1,
        le=100_000,
        description="Intervals that may wait for the target; beyond that the oldest is dropped.",
    )
    timeout: Duration = Field(10.0, gt=0, description="Time that one delivery may take.")
    retry_initial: Duration = Field(
        1.0, gt=0, description="Pause after the first failure; doubles with every further one."
    )
    retry_max: Duration = Field(60.0, gt=0, description="Longest pause between two attempts.")
    max_age: Duration = Field(
        3600.0, gt=0, description="An interval that has waited longer is dropped instead of sent."
    )

    @field_validator("retry_max")
    @classmethod
    def _at_least_the_first(cls, longest: float, info: ValidationInfo) -> float:
        first = info.data.get("retry_initial")
        if first is not None and longest < first:
            raise ValueError(
                f"must not be shorter than retry_initial: {write_duration(longest)} is below "
                f"{write_duration(first)}"
            )
        return longest


def arguments(options: Section, base: type[Section]) -> dict[str, Any]:
    """Return the fields that a plug-in added to `base`: its constructor's keywords.

    Nested models, secrets and paths stay objects.
    """
    return {
        name: getattr(options, name)
        for name in type(options).model_fields
        if name not in base.model_fields
    }
