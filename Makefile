# Needs make and a Python >= 3.10 with venv; everything else goes into .venv, which is made when
# it is missing and refreshed when pyproject.toml changes. PYTHON=python3.12 picks another one.
# With a Rust toolchain the native engine is built, too, and built anew when its sources change.

.DEFAULT_GOAL := help
.PHONY: help demo test lint types bench docs clean rebuild

BIN := .venv/bin

# The last word: where .venv was made without cargo and now there is one.
NATIVE := setup.py $(wildcard engine/Cargo.* engine/*/Cargo.toml) \
	$(shell find engine/core/src engine/python/src -name '*.rs' 2>/dev/null) \
	$(and $(shell command -v cargo),$(wildcard .venv/.without-cargo),rebuild)

help:
	@echo "make demo    a sidecar and a sample service: metrics, health and stats, live"
	@echo "make test    the whole test suite; TESTS='tests/wire -k gauge' runs a part of pytest's"
	@echo "make lint    ruff and the import floors; rustfmt and clippy where there is cargo"
	@echo "make types   mypy"
	@echo "make bench   the benchmarks' tables (about twenty minutes); BENCH=native runs one topic"
	@echo "make docs    write the generated pages of docs/ anew"
	@echo "make clean   remove .venv and the caches"

demo: .venv/.sidecar
	@$(BIN)/vitald demo

test: .venv/.dev
	@scripts/run-tests $(TESTS)

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	scripts/with-cargo fmt --all --check
	scripts/with-cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
	scripts/with-cargo fmt --manifest-path fuzz/Cargo.toml --check
	scripts/with-cargo clippy --quiet --manifest-path fuzz/Cargo.toml --locked -- -D warnings

types: .venv/.dev
	$(BIN)/mypy

bench: .venv/.sidecar
	@$(BIN)/python -m benchmarks $(BENCH)

docs: .venv/.dev
	@set -e; for script in scripts/generate-*; do echo "$$script"; $(BIN)/python "$$script"; done

clean:
	rm -rf .venv build dist src/*.egg-info src/vitald/_native*.so engine/target
	rm -rf engine/fuzz/target engine/fuzz/artifacts
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: `dev` has all that `sidecar` has.
.venv/.sidecar: pyproject.toml scripts/make-venv $(NATIVE)
	@scripts/make-venv sidecar

.venv/.dev: pyproject.toml scripts/make-venv $(NATIVE)
	@scripts/make-venv dev
