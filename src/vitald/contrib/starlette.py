"""Metrics of Starlette and FastAPI: `vitald.contrib.asgi` with their routes.

    app.add_middleware(MetricsMiddleware, client=client)

Endpoints are looked up when the application has answered; no path is matched a second time but
for an endpoint that several routes share.
"""

from __future__ import annotations

import sys

from starlette.routing import compile_path

from vitald.contrib import asgi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from vitald.client import Client

# Endpoints that are found in no router (made at run time) must not pile up.
_ENDPOINT_LIMIT = 10_000
# Middleware around a mounted application, one in the other.
_DEPTH = 10


class MetricsMiddleware(asgi.MetricsMiddleware):
    """Counts and times requests by the template of their route, mounts and prefixes included."""

    def __init__(self, app: asgi.Application, client: Client | None = None) -> None:
        super().__init__(app, client, route=_Templates())


class _Templates:
    """Full templates by endpoint, which is what every version leaves in the scope.

    `scope["route"]` is the innermost route alone, without the prefixes of what it is mounted in.
    """

    def __init__(self) -> None:
        # By identity, since routes and endpoints may compare equal, or have no hash. An entry
        # holds its endpoint, so that the identity stays its own.
        self._known: dict[int, tuple[object, list[str]]] = {}
        self._patterns: dict[str, Any] = {}

    def __call__(self, scope: asgi.Scope) -> str | None:
        """Return the template of the route that took the request."""
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return None
        known = self._known.get(id(endpoint))
        if known is None:
            known = self._learn(endpoint, scope["router"])
        templates = known[1]
        if len(templates) < 2:
            return templates[0] if templates else None
        return self._first_match(templates, scope)

    def _first_match(self, templates: list[str], scope: asgi.Scope) -> str | None:
        """Return which of an endpoint's templates this path is of, in the order of the routes."""
        path = scope["path"].removeprefix(scope.get("app_root_path", scope.get("root_path", "")))
        for template in templates:
            pattern = self._patterns.get(template)
            if pattern is None:
                pattern = self._patterns[template] = compile_path(template)[0]
            if pattern.match(path):
                return template
        return None

    def _learn(self, endpoint: object, router: Any) -> tuple[object, list[str]]:
        """Read the router's routes, which may have changed since the last time."""
        if len(self._known) >= _ENDPOINT_LIMIT:
            self._known.clear()
        found: dict[int, tuple[object, list[str]]] = {}
        for target, template in _walk(router.routes, ""):
            templates = found.setdefault(id(target), (target, []))[1]
            if template is not None and template not in templates:
                templates.append(template)
        self._known.update(found)
        return self._known.setdefault(id(endpoint), (endpoint, []))


def _walk(routes: Iterable[Any], prefix: str) -> Iterator[tuple[object, str | None]]:
    """Yield every endpoint and a template of it; None when only routes below it have one."""
    # Newer versions of FastAPI keep an included router whole; this gives its routes with prefixes.
    expand = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", iter)
    for route in expand(routes):
        path = prefix + (getattr(route, "path", None) or "")
        if hasattr(route, "endpoint") and route.endpoint is not None:
            yield route.endpoint, path
            continue
        app = getattr(route, "app", None)
        below = getattr(route, "routes", None) or _routes_below(app)
        if below is None:
            yield app, path + "/{path:path}"
        else:
            yield app, None
            yield from _walk(below, path)


def _routes_below(app: Any) -> Iterable[Any] | None:
    for _ in range(_DEPTH):
        if hasattr(app, "routes"):
            return app.routes  # type: ignore[no-any-return]
        app = getattr(app, "app", None)
    return None
