from __future__ import annotations

import pytest

from vitald.checks.base import Observation


@pytest.mark.parametrize(
    ("tags", "key"),
    [
        ((), "disk_free_bytes"),
        ((("path", "/"),), "disk_free_bytes{path=/}"),
        ((("check", "a"), ("path", "/")), "disk_free_bytes{check=a,path=/}"),
    ],
)
def test_an_observation_is_called_by_its_name_and_tags(tags, key):
    assert Observation("disk_free_bytes", 1.0, tags).key == key
