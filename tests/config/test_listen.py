from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vitald.config.listen import (
    HttpAddress,
    ListenAddress,
    Listener,
    read_http,
    read_mode,
    read_url,
    write_http,
    write_mode,
)

FORMS = "write udp://HOST:PORT, tcp://HOST:PORT, unixgram:///PATH or unix:///PATH"


def refusal(read, value) -> str:
    with pytest.raises(ValueError) as caught:
        read(value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "address", "written"),
    [
        ("udp://127.0.0.1:8125", ("udp", "127.0.0.1", 8125, ""), None),
        ("udp://127.0.0.1", ("udp", "127.0.0.1", 8125, ""), "udp://127.0.0.1:8125"),
        ("udp://0.0.0.0:0/", ("udp", "0.0.0.0", 0, ""), "udp://0.0.0.0:0"),
        ("udp://[::1]:9125", ("udp", "::1", 9125, ""), None),
        ("udp://[::]", ("udp", "::", 8125, ""), "udp://[::]:8125"),
        ("tcp://localhost:8125", ("tcp", "localhost", 8125, ""), None),
        ("unixgram:///run/v.sock", ("unixgram", "", 0, "/run/v.sock"), None),
        ("unix:///run/v.sock", ("unix", "", 0, "/run/v.sock"), None),
    ],
)
def test_an_address_is_read_and_written_alike(url, address, written):
    assert read_url(url) == ListenAddress(*address)
    assert str(read_url(url)) == (written or url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("127.0.0.1:8125", f'"127.0.0.1:8125" is no address: {FORMS}'),
        ("", f'"" is no address: {FORMS}'),
        ("upd://h:1", '"upd://h:1" has an unknown scheme; did you mean "udp://"?'),
        ("UDP://h:1", '"UDP://h:1" has an unknown scheme; did you mean "udp://"?'),
        ("unixgramm:///x", '"unixgramm:///x" has an unknown scheme; did you mean "unixgram://"?'),
        ("http://h:1", f'"http://h:1" has an unknown scheme; {FORMS}'),
        (
            "unixgram://run/x",
            '"unixgram://run/x" has no absolute path: write unixgram:///run/x',
        ),
        ("unix:///", '"unix:///" names no file: write unix:///PATH'),
        ("unix:///" + "x" * 107, "the path of a socket has at most 107 bytes"),
        (
            "udp://:8125",
            '"udp://:8125" has no host: 0.0.0.0 and [::] stand for every address',
        ),
        ("udp://h:x", '"udp://h:x" has no host and port that can be read'),
        ("udp://h:65536", '"udp://h:65536" has no host and port that can be read'),
        ("udp://::1:8125", '"udp://::1:8125" has no host and port that can be read'),
        ("udp://h h:1", '"udp://h h:1" has no host and port that can be read'),
        ("udp://u:p@h:1", '"udp://u:p@h:1" has more than a host and a port'),
        ("udp://h:1/x", '"udp://h:1/x" has more than a host and a port'),
        ("udp://h:1?x", '"udp://h:1?x" has more than a host and a port'),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(url, message):
    assert refusal(read_url, url) == message


@given(st.text(max_size=30) | st.from_regex(r"(udp|tcp|unix|unixgram)://[\w.:/@\[\]]{0,20}"))
def test_any_text_is_an_address_or_a_value_error(url):
    try:
        address = read_url(url)
    except ValueError:
        return
    assert read_url(str(address)) == address


@pytest.mark.parametrize("value", ["off", "OFF", "no", "false", False, None])
def test_http_can_be_off(value):
    assert read_http(value) is None


@pytest.mark.parametrize("value", ["on", "yes", "true", True])
def test_http_that_is_on_is_at_its_usual_place(value):
    assert read_http(value) == HttpAddress("127.0.0.1", 8127)


@pytest.mark.parametrize("text", ["0.0.0.0:80", "[::1]:8127", "web.example:1", "127.0.0.1:0"])
def test_http_can_be_somewhere_else(text):
    assert write_http(read_http(text)) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (8127, '"8127" has no host: write 127.0.0.1:8127'),
        ("http://h:1", '"http://h:1" is no address: write it without the scheme'),
        ("localhost", '"localhost" is no address: write off, on or HOST:PORT'),
        (":8127", '":8127" has no host: 0.0.0.0 and [::] stand for every address'),
        ("h:", '"h:" has no port'),
        ([], "a list is no address: write off, on or HOST:PORT"),
        ({"a": "b:1"}, "a section is no address: write off, on or HOST:PORT"),
        (1.5, '"1.5" is no address: write off, on or HOST:PORT'),
    ],
)
def test_what_is_no_http_address_is_refused(value, message):
    assert refusal(read_http, value) == message


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False)],
)  # fmt: skip
def test_only_a_loopback_address_is_local(host, is_local):
    assert HttpAddress(host, 1).is_local is is_local


@pytest.mark.parametrize("value", ["0660", "660", "0o660", 0o660])
def test_a_mode_is_octal_as_chmod_has_it(value):
    assert read_mode(value) == 0o660
    assert write_mode(read_mode(value)) == "0660"


@pytest.mark.parametrize("value", ["0680", "rw", "7777", True, None, 4096, -1])
def test_what_is_no_mode_is_refused(value):
    assert refusal(read_mode, value).endswith(" is no permission: write it like 0660")


def test_a_listener_is_a_url_or_a_section():
    assert Listener.model_validate("udp://h:1") == Listener(url="udp://h:1")
    listener = Listener(url="unix:///x", mode="0666", receive_buffer="1MiB", tag_formats=[])
    assert (listener.mode, listener.receive_buffer, listener.tag_formats) == (0o666, 2**20, ())
    assert listener.address.path == "/x"


@pytest.mark.parametrize("value", [5, None, ["udp://h:1"], {}])
def test_what_is_no_listener_is_refused(value):
    with pytest.raises(ValidationError):
        Listener.model_validate(value)


def test_a_udp_address_can_have_several_readers():
    assert Listener(url="udp://h:1").readers == 1
    assert Listener(url="udp://h:1", readers=64).readers == 64


@pytest.mark.parametrize(
    ("url", "readers", "message"),
    [
        ("udp://h:1", 0, "Input should be greater than or equal to 1"),
        ("udp://h:1", 65, "Input should be less than or equal to 64"),
        ("tcp://h:1", 2, "Value error, only a udp:// address can have more than one reader"),
        ("unixgram:///x", 2, "Value error, only a udp:// address can have more than one reader"),
        ("unix:///x", 2, "Value error, only a udp:// address can have more than one reader"),
    ],
)
def test_other_numbers_of_readers_are_refused(url, readers, message):
    with pytest.raises(ValidationError) as caught:
        Listener(url=url, readers=readers)
    assert [error["msg"] for error in caught.value.errors()] == [message]


@pytest.mark.parametrize("url", ["tcp://h:1", "unixgram:///x", "unix:///x"])
def test_one_reader_is_what_every_address_has(url):
    assert Listener(url=url, readers=1).readers == 1
