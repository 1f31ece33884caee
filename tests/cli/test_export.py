"""`vitald export`: the sidecar's bytes."""

from __future__ import annotations


def test_the_document_is_passed_on_byte_by_byte(vitald, sidecar, reply):
    body = b'{"schema":"vitald.export/1","a":"\\u00e9"}' * 20_000 + b"\n"
    sidecar.says["GET /v1/export"] = reply(body, pieces=9)
    assert vitald("export", text=False) == (0, body, "")
    assert sidecar.asked == ["GET /v1/export?format=json HTTP/1.1"]


def test_the_window_is_asked_for(vitald, sidecar, reply):
    sidecar.says["GET /v1/export"] = reply(b"{}")
    vitald("export", "--window", "1h", "-o", "json")
    assert sidecar.asked == ["GET /v1/export?format=json&window=3600 HTTP/1.1"]
