"""Build the native engine where there is Rust, and go without it where there is none.

`VITALD_BUILD_NATIVE=yes` turns a build that fails into an error, `no` does not try. All else about
this package is in pyproject.toml.
"""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools_rust import Binding, RustExtension, build_rust

# The oldest Python whose stable ABI the binding uses; the same as in engine/python/Cargo.toml.
ABI = "cp310"

choice = os.environ.get("VITALD_BUILD_NATIVE", "auto")
if choice not in {"auto", "yes", "no"}:
    raise SystemExit(f"cannot build vitald: VITALD_BUILD_NATIVE={choice} is not auto, yes or no")

# No stable ABI is one for free-threaded builds so far, and the binding is made for that ABI.
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    if choice == "yes":
        raise SystemExit("cannot build the native engine: this Python is a free-threaded build")
    choice = "no"

engine = RustExtension(
    "vitald._native",
    "engine/python/Cargo.toml",
    args=["--locked"],
    binding=Binding.PyO3,
    debug=False,  # an editable install is measured, too
    optional=choice == "auto",
    py_limited_api=True,
)


class Build(build_rust):
    """Leaves either what these sources make, or nothing: never what an earlier build made."""

    def run(self) -> None:
        for extension in self.extensions:
            Path(self.get_dylib_ext_path(extension, extension.name)).unlink(missing_ok=True)
        super().run()


class Wheel(bdist_wheel):
    """Is named by what it holds: without the native engine it runs everywhere."""

    def get_tag(self) -> tuple[str, str, str]:
        is_native = any(Path(self.bdist_dir, "vitald").glob("_native.*.so"))
        return super().get_tag() if is_native else ("py3", "none", "any")


setup(
    rust_extensions=[] if choice == "no" else [engine],
    cmdclass={"bdist_wheel": Wheel, "build_rust": Build},
    options={} if choice == "no" else {"bdist_wheel": {"py_limited_api": ABI}},
)
