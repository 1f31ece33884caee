"""What the machine says about itself: numbers without judgement, for checks and for `stats`.

psutil gives what every system has; the rest is read from Linux' own files: control groups,
pressure (PSI), mounts. `root` is where `/proc` and `/sys` are found, so that tests can bring trees
of other machines.
"""

from vitald.checks.readings.performance import Performance

__all__ = ["Performance"]
