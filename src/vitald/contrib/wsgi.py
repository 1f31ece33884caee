"""Metrics of any WSGI application.

    app = MetricsMiddleware(app, client, route=lambda environ: …)

    http_requests_total{method,route,status}              requests whose response was closed
    http_request_duration_seconds{method,route,status}    from the request to that end

`vitald.contrib.flask` knows the routes of Flask.
"""

from __future__ import annotations

from time import perf_counter_ns

from vitald.contrib.web import (
    CANCELLED,
    FAILED,
    http_recorder,
    no_route,
    status_of,
    template_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from typing_extensions import Self

    from vitald.client import Client

    Environ = dict[str, Any]
    StartResponse = Callable[..., Any]
    Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class MetricsMiddleware:
    """Counts and times the requests of `app`.

    `route` is asked after the application for the template of the route that it took, None for
    none; without it every request is `unmatched`. Without `client`, `Client()` sends.
    """

    def __init__(
        self,
        app: Application,
        client: Client | None = None,
        *,
        route: Callable[[Environ], str | None] = no_route,
    ) -> None:
        self.app, self.route = app, route
        self.requests = http_recorder(client)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        request = _Request(self, environ, start_response)
        try:
            body = self.app(environ, request.start_response)
        except BaseException as error:
            request.end(status_of(error))
            raise
        return _measured(body, request)


class _Request:
    """One request, recorded once."""

    __slots__ = ("_environ", "_is_over", "_middleware", "_start", "_start_response", "status")

    def __init__(
        self, middleware: MetricsMiddleware, environ: Environ, start_response: StartResponse
    ) -> None:
        self._middleware, self._environ = middleware, environ
        self._start_response = start_response
        # A response that never started is the server's 500.
        self.status: object = FAILED
        self._is_over = False
        self._start = perf_counter_ns()

    def start_response(self, status: object, *rest: Any, **named: Any) -> Any:
        """Pass it on; of several calls (PEP 3333: after an error) the last counts."""
        write = self._start_response(status, *rest, **named)
        # A server may take a status that is no text, so it is no reason to fail here.
        code = status[:3] if isinstance(status, str) else ""
        self.status = int(code) if code.isdecimal() else None
        return write

    def end(self, status: object) -> None:
        if self._is_over:
            return
        self._is_over = True
        middleware, environ = self._middleware, self._environ
        route = template_of(middleware.route, environ)
        middleware.requests.record(environ.get("REQUEST_METHOD", ""), route, status, self._start)

    def is_file(self, body: Iterable[bytes]) -> bool:
        wrapper = self._environ.get("wsgi.file_wrapper")
        return isinstance(wrapper, type) and isinstance(body, wrapper)

    def expects_body(self) -> bool:
        return self._environ.get("REQUEST_METHOD") != "HEAD"


def _measured(body: Iterable[bytes], request: _Request) -> Iterable[bytes]:
    if request.is_file(body):
        return _measured_file(body, request)
    return (_SizedBody if hasattr(body, "__len__") else _Body)(body, request)


def _measured_file(body: Any, request: _Request) -> Iterable[bytes]:
    """Keep what the server knows by its class, and sends without reading it here."""
    close = getattr(body, "close", None)

    def close_and_end() -> None:
        try:
            if close is not None:
                close()
        finally:
            request.end(request.status)

    try:
        body.close = close_and_end
    except AttributeError:  # a class written in C: its end cannot be seen
        request.end(request.status)
    return body  # type: ignore[no-any-return]


class _Body:
    """The response's body, until the server closes it.

    Closed while it was read and before its end: the client has left. A server need not read at
    all where nothing is to be sent.
    """

    __slots__ = ("_body", "_iterator", "_outcome", "_request")

    def __init__(self, body: Iterable[bytes], request: _Request) -> None:
        self._body, self._request = body, request
        self._iterator: Iterator[bytes] | None = None
        self._outcome: object = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            if self._iterator is None:
                self._iterator = iter(self._body)
                self._outcome = CANCELLED if self._request.expects_body() else None
            return next(self._iterator)
        except StopIteration:
            self._outcome = None
            raise
        except BaseException as error:
            self._request.end(status_of(error))
            raise

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        try:
            if close is not None:
                close()
        except BaseException as error:
            self._request.end(status_of(error))
            raise
        self._request.end(self._request.status if self._outcome is None else self._outcome)


class _SizedBody(_Body):
    """A body whose number of parts is known: servers set Content-Length when it is one."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]
