from __future__ import annotations

import pytest


@pytest.fixture
def tree(tmp_path):
    """Make a tree of files like /proc and /sys of another machine; returns its root."""

    def make(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make
