"""The control socket's client: a complete answer or an error, never anything between."""

from __future__ import annotations

import contextlib
import os
import socket
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vitald.cli.control import NoAnswerError, RefusedError, Sidecar, quoted
from vitald.errors import UnreachableError, UsageError, VitaldError

HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def client(sidecar):
    return Sidecar(str(sidecar.path), timeout=5)


def _raw(sidecar, reply, answer):
    sidecar.says["GET /x"] = reply(raw=answer)


def test_a_body_with_a_length_is_read(client, sidecar, reply):
    sidecar.says["GET /x"] = reply(b"hello")
    assert client.get("/x").body() == b"hello"


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_a_chunked_body_is_put_together(client, sidecar, reply, pieces):
    body = os.urandom(200_000)
    sidecar.says["GET /x"] = reply(body, pieces=pieces)
    assert client.get("/x").body() == body


def test_chunk_extensions_and_trailers_are_passed_over(client, sidecar, reply):
    chunked = b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n"
    _raw(sidecar, reply, HEAD + chunked)
    assert client.get("/x").body() == b"hello"


def test_a_body_without_a_length_ends_with_the_connection(client, sidecar, reply):
    _raw(sidecar, reply, b"HTTP/1.0 200 OK\r\n\r\nhello")
    assert client.get("/x").body() == b"hello"


def test_an_empty_body_is_empty(client, sidecar, reply):
    _raw(sidecar, reply, HEAD + b"Content-Length: 0\r\n\r\n")
    assert client.get("/x").body() == b""


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTT",
        HEAD,
        HEAD + b"Content-Length: 10\r\n\r\nhello",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
def test_an_answer_that_is_cut_is_no_answer(client, sidecar, reply, answer):
    _raw(sidecar, reply, answer)
    with pytest.raises(UnreachableError, match="its answer was cut short"):
        client.get("/x").body()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"a" * 10_000,
        HEAD + b"X: " + b"a" * 10_000 + b"\r\n\r\n",
    ],
)
def test_what_speaks_no_http_is_not_a_sidecar(client, sidecar, reply, answer):
    _raw(sidecar, reply, answer)
    with pytest.raises(UnreachableError, match="something other than a sidecar answers there"):
        client.get("/x").body()


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: -1",
        b"Content-Length: 1_0",
        b"Content-Length: 99999999999999999999",
        b"Content-Length: ",
        b"Transfer-Encoding: chunked\r\n\r\n-5",
        b"Transfer-Encoding: chunked\r\n\r\n0x5",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff",
    ],
)
def test_a_length_that_is_no_number_is_refused(client, sidecar, reply, head):
    _raw(sidecar, reply, HEAD + head + b"\r\n\r\nhello")
    with pytest.raises(UnreachableError, match="no valid length"):
        client.get("/x").body()


def test_headers_have_a_limit(client, sidecar, reply):
    _raw(sidecar, reply, HEAD + b"A: b\r\n" * 100 + b"\r\n")
    with pytest.raises(UnreachableError, match="more than 64 headers"):
        client.get("/x")


def test_a_body_that_is_held_in_memory_has_a_limit(client, sidecar, reply):
    sidecar.says["GET /x"] = reply(b"a" * 1001)
    with pytest.raises(UnreachableError, match="longer than 1000 bytes"):
        client.get("/x").body(limit=1000)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda junk: HEAD + junk))
def test_no_answer_raises_anything_but_our_own_errors(client, sidecar, reply, answer):
    _raw(sidecar, reply, answer)
    with contextlib.suppress(VitaldError):
        client.document("/x")


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b'{"a":' + b"9" * 5000 + b"}", b"[" * 100_000])
def test_a_document_that_is_no_json_object_is_no_answer(client, sidecar, reply, body):
    sidecar.says["GET /x"] = reply(body)
    with pytest.raises(UnreachableError, match="no JSON object"):
        client.document("/x")


def test_a_sidecar_that_never_answers_is_given_up(sidecar, hang):
    sidecar.says["GET /x"] = hang
    with pytest.raises(NoAnswerError, match=r"no answer within 0\.2 s") as caught:
        Sidecar(str(sidecar.path), timeout=0.2).get("/x")
    assert caught.value.is_hung


def test_a_sidecar_that_refuses_is_awake_and_one_that_is_silent_is_not(sidecar, reply, hang):
    asked = Sidecar(str(sidecar.path), timeout=0.2)
    for said in (reply(b"{}"), reply(b'{"status":"fail"}', 503), reply(b"", 404)):
        sidecar.says["GET /livez"] = said
        asked.awake()
    sidecar.says["GET /livez"] = hang
    with pytest.raises(NoAnswerError):
        asked.awake()


def test_a_missing_socket_says_how_to_start(tmp_path):
    with pytest.raises(NoAnswerError, match="there is no such socket") as caught:
        Sidecar(str(tmp_path / "none")).get("/x")
    assert caught.value.hint == (
        "start it with: vitald run; if it runs, name its socket: --socket or $VITALD_SOCKET"
    )
    assert not caught.value.is_hung


def test_a_stale_socket_file_is_no_sidecar(tmp_path_factory):
    path = tmp_path_factory.mktemp("s") / "stale"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with pytest.raises(NoAnswerError, match="nobody listens on the socket"):
        Sidecar(str(path)).get("/x")


def test_a_socket_whose_backlog_is_full_is_busy(tmp_path_factory):
    path = tmp_path_factory.mktemp("s") / "full"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        with pytest.raises(NoAnswerError, match=r"no answer within|too busy"):
            Sidecar(str(path), timeout=0.2).get("/x")


@pytest.mark.parametrize("path", ["/" + "a" * 200, "a\0b"])
def test_a_path_that_no_socket_can_have_is_an_error_of_ours(path):
    with pytest.raises(UnreachableError, match="cannot reach the sidecar"):
        Sidecar(path).get("/x")


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [(400, UsageError, 64), (404, UsageError, 64), (503, RefusedError, 69)],
)
def test_an_error_answer_is_raised_with_its_own_words(client, sidecar, reply, status, kind, code):
    sidecar.says["GET /x"] = reply(b'{"error":"cannot do x: why"}', status)
    with pytest.raises(kind, match=r"^cannot do x: why$") as caught:
        client.get("/x")
    assert caught.value.exit_code == code


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"error":5}', b"<html>"])
def test_an_error_answer_without_words_names_its_status(client, sidecar, reply, body):
    sidecar.says["GET /x"] = reply(body, 500)
    with pytest.raises(RefusedError, match=r"^cannot ask the sidecar: it answers 500$"):
        client.get("/x")


def test_faults_come_with_the_refusal(client, sidecar, reply):
    sidecar.says["POST /x"] = reply(b'{"error":"cannot reload","faults":["a:1: b"]}', 400)
    with pytest.raises(RefusedError) as caught:
        client.post("/x")
    assert (caught.value.exit_code, caught.value.faults) == (65, ["a:1: b"])


@given(st.text())
def test_quoting_is_undone_by_any_server(text):
    assert unquote_to_bytes(quoted(text)).decode() == text


def test_what_is_no_unicode_is_quoted_as_a_question_mark():
    assert quoted("a\udcff") == "a%3F"


def test_a_query_is_encoded(client, sidecar, reply):
    sidecar.says["GET /x"] = reply(b"{}")
    client.get("/x", [("name", "a b&c=d"), ("tag", "k=ü")]).body()
    assert sidecar.asked == ["GET /x?name=a%20b%26c%3Dd&tag=k%3D%C3%BC HTTP/1.1"]
