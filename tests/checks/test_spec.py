from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import Field
from pydantic import SecretStr as Plain

from vitald.checks.spec import CheckSpec, build, secrets_in
from vitald.config.options import CheckOptions, Duration, Secret, SecretURL


class LineOptions(CheckOptions):
    path: str = Field("/", description="Where.")
    limit: Duration = Field("2s", description="How long.")
    password: Secret = Field(None, description="The password.", validate_default=False)


class LineCheck:
    Options = LineOptions
    isolation = "process"
    connectivity = True
    machine_wide = True
    status_metric = "assembly_line_status"


class BareCheck:
    Options = LineOptions


def test_scheduling_fields_go_to_the_spec_and_the_rest_to_the_class():
    options = LineOptions(
        interval="1m", timeout="2s", fail_after=5, recover_after=1, depends_on=["x"], path="/srv"
    )
    spec = CheckSpec.of("line", "assembly", LineCheck, options)
    assert spec == CheckSpec(
        name="line",
        type="assembly",
        factory=f"{__name__}:LineCheck",
        options={"path": "/srv", "limit": 2.0, "password": None},
        isolation="process",
        connectivity=True,
        machine_wide=True,
        interval=60.0,
        timeout=2.0,
        fail_after=5,
        recover_after=1,
        depends_on=("x",),
        status_metric="assembly_line_status",
    )


class WatchfulCheck:
    Options = LineOptions
    takes_timeout = True


def test_a_class_that_wants_its_timeout_is_built_with_it():
    spec = CheckSpec.of("line", "assembly", WatchfulCheck, LineOptions(timeout="2s"))
    assert spec.options["timeout"] == 2.0


def test_a_class_that_says_nothing_gets_a_thread_and_a_gauge_named_after_its_type():
    spec = CheckSpec.of("line", "acme-line.v2", BareCheck, LineOptions())
    assert (spec.isolation, spec.connectivity, spec.machine_wide) == ("thread", False, False)
    assert spec.status_metric == "acme_line_v2_status"


@pytest.mark.parametrize(
    ("fault", "values"),
    [
        ("timeout 30s is not between 0 and the interval 30s", {"timeout": 30.0}),
        ("timeout 0s is not between", {"timeout": 0.0}),
        ("start at 1", {"fail_after": 0}),
        ("start at 1", {"recover_after": 0}),
    ],
)
def test_a_spec_that_cannot_be_scheduled_is_refused(fault, values):
    with pytest.raises(ValueError, match=fault):
        CheckSpec("line", "assembly", "module:Class", **values)


def test_the_phase_lies_in_the_interval_and_differs_between_names():
    phases = {CheckSpec(f"disk{n}", "disk", "m:C", interval=40.0).phase for n in range(100)}
    assert len(phases) == 100
    assert all(0 <= phase < 40 for phase in phases)
    # A fair spread: each quarter of the interval gets its share.
    for start in (0, 10, 20, 30):
        assert 10 <= sum(start <= phase < start + 10 for phase in phases) <= 40


def test_the_phase_is_the_same_in_another_process_with_another_hash_seed():
    code = (
        "from vitald.checks.spec import CheckSpec;"
        "print(repr(CheckSpec('main_db', 'database', 'm:C').phase))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert seen == {repr(CheckSpec("main_db", "database", "m:C").phase)}


def test_a_short_interval_has_a_floor_below_which_nothing_is_stale():
    assert CheckSpec("a", "t", "m:C", interval=1.0, timeout=0.5).stale_after == 15.0
    assert CheckSpec("a", "t", "m:C", interval=60.0).stale_after == 180.0


def test_build_finds_nested_classes_and_passes_the_options():
    assert build("collections:Counter", {"a": 2}) == {"a": 2}
    assert build("os:path.join", {"a": "x"}) == "x"


@pytest.mark.parametrize(
    ("factory", "error"),
    [
        ("no_such_module_here:X", ImportError),
        ("os:NoSuchThing", AttributeError),
        ("collections:Counter.", AttributeError),
    ],
)
def test_build_raises_what_keeps_it_from_building(factory, error):
    with pytest.raises(error):
        build(factory, {})


def test_secrets_are_found_at_any_depth_with_the_passwords_of_urls():
    options = {
        "password": Secret("hunter2"),
        "url": SecretURL.read("postgresql://me:s3cret@db/x"),
        "headers": {"Authorization": Plain("Bearer abc")},
        "more": [("x", Plain("deep"))],
        "host": "db.example",
    }
    assert secrets_in(options) == {
        "hunter2",
        "postgresql://me:s3cret@db/x",
        "s3cret",
        "Bearer abc",
        "deep",
    }


def test_options_without_secrets_have_none():
    assert secrets_in({"path": "/", "empty": Plain("")}) == frozenset()
