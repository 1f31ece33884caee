"""Spans: what is measured from a beginning to an end, as a block or as a decorated function.

One span object serves `with`, `async with` and decoration, any number of times and at the same
time: nested, recursive, from several threads and tasks. Functions, coroutine functions, generators
and async generators are measured until they end; a generator from its first step.

The beginning of a block is kept in the span itself, in a slot that one block at a time may claim.
While it is taken, and inside a block that is kept so, beginnings go on a stack of the context.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial, update_wrapper
from time import perf_counter_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from types import TracebackType
    from typing import Any, TypeVar

    from typing_extensions import Self

    F = TypeVar("F", bound=Callable[..., Any])
    # The spans entered in this context and not left, the innermost first: (span, start, outer).
    Open = tuple["Span", int, "Open"] | None

open_spans: ContextVar[Open] = ContextVar("vitald_open_spans", default=None)


class Span:
    """Something with a beginning and an end; subclasses record in `begin` and `end`."""

    __slots__ = ("_free", "_last_start", "_start")

    def __init__(self) -> None:
        # One element while the slot `_start` is free: `pop` is what claims it, in one step.
        self._free: list[None] = [None]
        self._start = self._last_start = 0

    def begin(self) -> int:
        """Record the beginning; return its time by `perf_counter_ns`."""
        return perf_counter_ns()

    def end(self, start: int, error: BaseException | None) -> None:
        """Record the end; `error` is what was raised, None when nothing was."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        if open_spans.get() is None:
            try:
                self._free.pop()
            except IndexError:
                pass
            else:
                self._start = self.begin()
                return self
        start = self._last_start = self.begin()
        open_spans.set((self, start, open_spans.get()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if open_spans.get() is None and not self._free:
            start = self._start
            self._free.append(None)
        else:
            start = self._close()
        self.end(start, error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        """Measure every call of `function`."""
        return _decorate(self, function)

    def _close(self) -> int:
        """Take this span's innermost beginning off this context; return it."""
        top = open_spans.get()
        if top is not None and top[0] is self:  # nearly always
            open_spans.set(top[2])
            return top[1]
        above: list[tuple[Span, int]] = []
        one = top
        while one is not None and one[0] is not self:
            above.append(one[:2])
            one = one[2]
        if one is None:
            if self._free:
                # Entered in another context (a fixture, a middleware that changes threads).
                return self._last_start
            start = self._start
            self._free[:] = (None,)
            return start
        rest = one[2]
        for span, start in reversed(above):
            rest = (span, start, rest)
        open_spans.set(rest)
        return one[1]


def _decorate(span: Span, function: F) -> F:
    import inspect  # noqa: PLC0415  10 ms, and only those who decorate need it

    if isinstance(function, classmethod | staticmethod):
        return type(function)(_decorate(span, function.__func__))
    if isinstance(function, type):
        raise TypeError(
            f"cannot measure class {function.__name__}: what comes back would be no class; "
            "measure its methods, or a function that calls it"
        )
    if not callable(function):
        raise TypeError(
            f"cannot measure a {type(function).__name__}: it cannot be called; "
            "measure the function inside it"
        )
    bare: Any = function
    while isinstance(bare, partial):
        bare = bare.func
    # An object is called through its class.
    body = bare if hasattr(bare, "__code__") else type(bare).__call__
    wrapped: Any
    if inspect.iscoroutinefunction(bare) or inspect.iscoroutinefunction(body):
        wrapped = _coroutine(span, function)
    elif inspect.isasyncgenfunction(bare) or inspect.isasyncgenfunction(body):
        wrapped = _async_generator(span, function)
    elif inspect.isgeneratorfunction(bare) or inspect.isgeneratorfunction(body):
        wrapped = _generator(span, function)
    else:
        wrapped = _plain(span, function)
    update_wrapper(wrapped, bare)
    return wrapped  # type: ignore[no-any-return]


def _plain(span: Span, function: Callable[..., Any]) -> Callable[..., Any]:
    def measured(*args: Any, **kwargs: Any) -> Any:
        start = span.begin()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            span.end(start, error)
            raise
        span.end(start, None)
        return result

    return measured


def _coroutine(span: Span, function: Callable[..., Any]) -> Callable[..., Any]:
    async def measured(*args: Any, **kwargs: Any) -> Any:
        start = span.begin()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            span.end(start, error)
            raise
        span.end(start, None)
        return result

    return measured


def _generator(span: Span, function: Callable[..., Any]) -> Callable[..., Any]:
    def measured(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        start = span.begin()
        try:
            result = yield from function(*args, **kwargs)
        except BaseException as error:
            span.end(start, error)
            raise
        span.end(start, None)
        return result

    return measured


def _async_generator(span: Span, function: Callable[..., Any]) -> Callable[..., Any]:
    async def measured(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        start = span.begin()
        steps = function(*args, **kwargs)
        try:
            step = steps.__anext__()
            while True:
                try:
                    value = await step
                except StopAsyncIteration:
                    break
                # What `yield from` does, which an async generator has not got.
                try:
                    sent = yield value
                except GeneratorExit:
                    await steps.aclose()
                    raise
                except BaseException as error:
                    step = steps.athrow(error)
                else:
                    step = steps.asend(sent)
        except BaseException as error:
            span.end(start, error)
            raise
        span.end(start, None)

    return measured
