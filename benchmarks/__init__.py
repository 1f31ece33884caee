"""The benchmarks: `make bench` prints their tables; see README.md for method and reading."""
