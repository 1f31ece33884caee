"""Checks: one small file each, a scheduler, and a pure state machine."""
