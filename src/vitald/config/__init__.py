"""Configuration. This package imports nothing, so that `paths` costs the CLI nothing."""
