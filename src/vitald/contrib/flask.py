"""Metrics of a Flask application: `vitald.contrib.wsgi` with Flask's routes.

    app.wsgi_app = MetricsMiddleware(app.wsgi_app, client)

Where the application is named it stays itself: this is Flask's own way to add middleware.
"""

from __future__ import annotations

from flask import request, request_started

from vitald.contrib import wsgi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vitald.client import Client

_RULE = "vitald.flask.rule"


class MetricsMiddleware(wsgi.MetricsMiddleware):
    """Counts and times requests by `url_rule.rule`, blueprints' prefixes included."""

    def __init__(self, app: wsgi.Application, client: Client | None = None) -> None:
        super().__init__(app, client, route=_rule)
        # Connected once, however often. The signal comes before any hook that may answer, and
        # Flask takes its request out of the environment before the response is closed.
        request_started.connect(_remember)


def _remember(_: object, **__: object) -> None:
    current = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001  Flask's own word
    if current.url_rule is not None:
        current.environ[_RULE] = current.url_rule.rule


def _rule(environ: wsgi.Environ) -> str | None:
    return environ.get(_RULE)
