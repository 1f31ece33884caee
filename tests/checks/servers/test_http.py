from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import time

import pytest
import trustme
from pydantic import SecretStr, ValidationError

from vitald.checks.http import HttpCheck, Options
from vitald.status import Status

TIMEOUT = 2.0


async def look(url, *, timeout=TIMEOUT, headers=None, **options):
    headers = {name: SecretStr(value) for name, value in (headers or {}).items()}
    check = HttpCheck(url=SecretStr(url), timeout=timeout, headers=headers, **options)
    return await check.run()


def numbers(result):
    return {item.name: item.value for item in result.observations}


@pytest.fixture
def web(serve):
    """Return a starter of small web servers; it returns their URL."""

    async def start(handle, **options):
        _, port = await serve(handle, **options)
        return f"https://localhost:{port}" if "ssl" in options else f"http://127.0.0.1:{port}"

    return start


def saying(data, *, pause=0.0, then=b""):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(pause)
        writer.write(then)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    return handle


def ok(body=b"", headers=b""):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n%s" % (len(body), headers, body)


# What a real web server does.


@pytest.mark.server("nginx")
async def test_an_expected_status_is_healthy_with_its_time(nginx):
    result = await look(f"{nginx.url}/ready")
    assert result.status is Status.HEALTHY, result.message
    assert result.message.startswith("HTTP 200 in ")
    assert numbers(result)["http_status_code"] == 200
    assert 0 < numbers(result)["http_response_seconds"] < TIMEOUT
    assert "http_tls_days_left" not in numbers(result)


@pytest.mark.server("nginx")
@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("/broken", ["2xx"], Status.CRITICAL),
        ("/missing", ["2xx"], Status.CRITICAL),
        ("/broken", ["2xx", "503"], Status.HEALTHY),
        ("/missing", ["400-499"], Status.HEALTHY),
        ("/ready", ["204"], Status.CRITICAL),
    ],
)
async def test_the_status_must_be_one_of_those_expected(nginx, path, status, expected):
    result = await look(nginx.url + path, status=status)
    assert result.status is expected


@pytest.mark.server("nginx")
async def test_an_unexpected_status_is_named(nginx):
    result = await look(f"{nginx.url}/broken")
    assert "HTTP 503" in result.message
    assert "Service Temporarily Unavailable, expected 2xx" in result.message
    assert numbers(result)["http_status_code"] == 503


@pytest.mark.server("nginx")
async def test_the_body_must_contain_and_match(nginx):
    url = f"{nginx.url}/ready"
    assert (await look(url, contains="systems go")).status is Status.HEALTHY
    assert (await look(url, matches=r"^all \w+ go$")).status is Status.HEALTHY
    missing = await look(url, contains="systems down")
    assert missing.status is Status.CRITICAL
    assert "the body does not contain 'systems down'" in missing.message
    other = await look(url, matches=r"^some \w+ go$")
    assert other.status is Status.CRITICAL
    assert "the body does not match" in other.message


@pytest.mark.server("nginx")
async def test_redirects_are_followed_until_there_are_too_many(nginx):
    assert (await look(f"{nginx.url}/moved", contains="all systems")).status is Status.HEALTHY
    loop = await look(f"{nginx.url}/loop")
    assert (loop.status, "more than 5 redirects" in loop.message) == (Status.CRITICAL, True)
    away = await look(f"{nginx.url}/gopher")
    assert (away.status, "redirected to gopher" in away.message) == (Status.CRITICAL, True)


@pytest.mark.server("nginx")
async def test_without_redirects_the_first_answer_counts(nginx):
    result = await look(f"{nginx.url}/moved", redirects=0, status=["302"])
    assert (result.status, numbers(result)["http_status_code"]) == (Status.HEALTHY, 302)


@pytest.mark.server("nginx")
async def test_headers_are_sent(nginx):
    assert (await look(f"{nginx.url}/secret")).status is Status.CRITICAL
    welcome = await look(f"{nginx.url}/secret", headers={"X-Token": "let-me-in"})
    assert welcome.status is Status.HEALTHY


@pytest.mark.server("nginx")
async def test_a_unix_socket_replaces_the_urls_host(nginx):
    result = await look("http://anything/ready", unix_socket=nginx.unix_socket)
    assert result.status is Status.HEALTHY, result.message


@pytest.mark.server("nginx")
async def test_a_compressed_body_is_not_unpacked_to_be_searched(nginx):
    assert (await look(f"{nginx.url}/gzip")).status is Status.HEALTHY
    result = await look(f"{nginx.url}/gzip", contains="x")
    assert (result.status, "the body is gzip" in result.message) == (Status.CRITICAL, True)


@pytest.mark.server("nginx")
async def test_a_certificate_of_the_ca_file_is_trusted_and_its_days_are_counted(nginx):
    result = await look(f"{nginx.tls_url}/ready", tls_ca=nginx.ca)
    assert result.status is Status.HEALTHY, result.message
    assert numbers(result)["http_tls_days_left"] > 14


@pytest.mark.server("nginx")
async def test_a_certificate_that_nobody_vouches_for_is_unhealthy(nginx):
    result = await look(f"{nginx.tls_url}/ready")
    assert result.status is Status.CRITICAL
    assert "certificate refused: " in result.message


@pytest.mark.server("nginx")
async def test_without_verification_any_certificate_does_and_its_days_are_unknown(nginx):
    result = await look(f"{nginx.tls_url}/ready", tls_verify=False)
    assert result.status is Status.HEALTHY, result.message
    assert numbers(result)["http_tls_days_left"] is None


@pytest.mark.server("nginx")
async def test_a_certificate_for_another_host_is_unhealthy(nginx):
    url = nginx.tls_url.replace("localhost", "127.0.0.1")
    result = await look(f"{url}/ready", tls_ca=nginx.ca)
    assert result.status is Status.CRITICAL
    assert "certificate refused: " in result.message


@pytest.mark.server("nginx")
async def test_frozen_then_thawed_then_killed_then_restarted(nginx, watch):
    watched = watch(HttpCheck, url=f"{nginx.url}/ready", timeout=TIMEOUT)
    report, _ = await watched.look()
    assert (report.label, report.status) == ("healthy", Status.HEALTHY), report.message

    nginx.freeze()
    report, seconds = await watched.look()
    assert (report.label, report.status) == ("unhealthy", Status.CRITICAL)
    assert f"no answer within 1.6s while waiting for {nginx.url}/ready" in report.message
    assert seconds < TIMEOUT + 0.5

    nginx.thaw()
    report, _ = await watched.look()
    assert report.label == "healthy", report.message

    nginx.kill()
    report, _ = await watched.look()
    assert (report.label, "connection refused" in report.message) == ("unhealthy", True)

    nginx.start()
    report, _ = await watched.look()
    assert report.label == "healthy", report.message


# What a broken or hostile one does.


async def test_nobody_listening_is_unhealthy_with_unknown_numbers(unused_port):
    result = await look(f"http://127.0.0.1:{unused_port}/ready")
    assert result.status is Status.CRITICAL
    where = f"cannot reach http://127.0.0.1:{unused_port}/ready"
    assert result.message == f"{where}: connection refused"
    assert set(numbers(result).values()) == {None}


async def test_a_name_that_does_not_exist_is_unhealthy():
    result = await look("http://nowhere.invalid/")
    assert result.status is Status.CRITICAL
    assert result.message.startswith("cannot reach http://nowhere.invalid/: ")


async def test_a_slow_answer_is_a_warning_and_a_slower_one_unhealthy(web):
    url = await web(saying(b"", pause=0.15, then=ok()))
    fast_enough = await look(url, warning=1.0, critical=1.5)
    warned = await look(url, warning=0.1, critical=1.0)
    slow = await look(url, warning=0.05, critical=0.1)
    statuses = [result.status for result in (fast_enough, warned, slow)]
    assert statuses == [Status.HEALTHY, Status.WARNING, Status.CRITICAL]
    assert "slower than 100ms" in warned.message
    assert "slower than 100ms" in slow.message


async def test_the_deadline_is_for_the_whole_answer_and_not_for_each_read(web):
    async def trickle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(100):
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.05)

    started = time.monotonic()
    result = await look(await web(trickle), timeout=1.0)
    assert time.monotonic() - started < 1.0
    assert result.status is Status.CRITICAL
    assert "no answer within 800ms while reading the body" in result.message


async def test_a_body_without_end_is_read_up_to_its_limit(web):
    sent = 0

    async def flood(reader, writer):
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"spam " * 10_000)
            sent += 50_000
            await writer.drain()

    url = await web(flood)
    result = await look(url, max_body=100_000)
    assert result.status is Status.HEALTHY, result.message
    wanted = await look(url, contains="eggs", max_body=100_000)
    assert wanted.status is Status.CRITICAL
    assert "does not contain 'eggs' in its first 100000 bytes" in wanted.message
    assert sent < 50_000_000


async def test_a_pattern_that_never_ends_does_not_stop_the_event_loop(web):
    url = await web(saying(ok(b"a" * 60)))
    longest = 0.0

    async def heartbeat():
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)

    beating = asyncio.create_task(heartbeat())
    started = time.monotonic()
    result = await look(url, matches=r"^(a+)+$b", timeout=1.5)
    assert time.monotonic() - started < 1.5
    beating.cancel()
    assert result.status is Status.CRITICAL
    assert "searching the body for '^(a+)+$b' took too long" in result.message
    assert longest < 0.5


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000,
        b"HTTP/1.1 999999 Odd\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: //\r\n\r\n",
    ],
    ids=lambda answer: repr(answer[:40]),
)
async def test_a_broken_answer_is_unhealthy_and_raises_nothing(web, answer):
    result = await look(await web(saying(answer)), contains="x")
    assert result.status is Status.CRITICAL
    assert len(result.message) < 500
    assert result.message.isprintable()


async def test_an_unknown_charset_is_read_as_utf_8(web):
    headers = b"Content-Type: text/plain; charset=klingon\r\n"
    url = await web(saying(ok("größe".encode(), headers)))
    assert (await look(url, contains="größe")).status is Status.HEALTHY


async def test_secret_headers_do_not_follow_a_redirect_to_another_host(web):
    asked = []

    async def remember(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(ok())

    elsewhere = await web(remember)
    found = f"HTTP/1.1 307 Temporary\r\nLocation: {elsewhere}/\r\nContent-Length: 0\r\n\r\n"
    url = await web(saying(found.encode()))
    result = await look(url, headers={"X-Token": "hunter2"}, method="POST", body="hunter3")
    assert result.status is Status.HEALTHY
    assert asked
    assert b"hunter" not in asked[0]


async def test_no_secret_of_the_request_is_in_a_message(unused_port):
    url = f"http://user:hunter2@127.0.0.1:{unused_port}/ready?token=hunter3"
    result = await look(url, headers={"X-Token": "hunter4\r\nX: y"})
    assert result.status is Status.CRITICAL
    assert "hunter" not in result.message


# Certificates near their end.


def server_context(authority, days):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # A certificate of trustme begins before now; only its end matters here.
    end = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=days, hours=1)
    authority.issue_cert("localhost", not_after=end).configure_cert(context)
    return context


@pytest.mark.parametrize(
    ("days", "status", "words"),
    [
        (30, Status.HEALTHY, ""),
        (9, Status.WARNING, "certificate ends in 9 days"),
        (1, Status.CRITICAL, "certificate ends in 1 day"),
        (-1, Status.CRITICAL, "certificate refused: certificate has expired"),
    ],
)
async def test_the_days_that_a_certificate_has_left_have_limits(web, tmp_path, days, status, words):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    url = await web(saying(ok(b"x")), ssl=server_context(authority, days))
    result = await look(url, tls_ca=str(tmp_path / "ca.pem"))
    assert (result.status, words in result.message) == (status, True), result.message


async def test_a_ca_file_that_was_replaced_is_read_again(web, tmp_path):
    old, new = trustme.CA(), trustme.CA()
    path = tmp_path / "ca.pem"
    old.cert_pem.write_to_path(path)
    url = await web(saying(ok()), ssl=server_context(new, 90))
    check = HttpCheck(url=SecretStr(url), tls_ca=str(path))
    assert (await check.run()).status is Status.CRITICAL
    new.cert_pem.write_to_path(path)
    assert (await check.run()).status is Status.HEALTHY


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_ca_file_that_is_no_good_is_unknown(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    result = await look("https://localhost/", tls_ca=str(path))
    assert result.status is Status.UNKNOWN
    assert result.message.startswith(f"cannot read the CA file {path}: ")


# Options.


@pytest.mark.parametrize(
    "options",
    [
        {"url": "ftp://localhost/"},
        {"url": "http://"},
        {"matches": "("},
        {"status": ["600"]},
        {"status": "two hundred"},
        {"status": []},
        {"warning": "2s", "critical": "1s"},
        {"max_body": 0},
        {"redirects": -1},
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_refused(options):
    with pytest.raises(ValidationError):
        Options(**{"url": "http://localhost/", **options})


def test_a_status_may_be_a_number_a_class_a_range_or_a_list():
    assert Options(url="http://localhost/", status=204).status == ("204",)
    found = Options(url="http://localhost/", status=[200, "3xx", "401-403"])
    assert found.status == ("200", "3xx", "401-403")
