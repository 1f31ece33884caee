"""Spans: what is measured from a beginning to an end, as a block or as a decorated function.

One span object serves `with`, `async with` and decoration, any number of times and at the same
time: nested, recursive, from several threads and tasks. Functions, coroutine functions, generators
and async generators are measured until they end; a generator from its first step.

An end belongs to the last beginning in the same frame. That holds for every `with` statement, in
generators that take turns or whose steps run in different threads and contexts too. Where nothing
began in that frame (an `ExitStack`, a wrapper), it belongs to the last beginning in its context.

The outermost block of a span is kept in the span itself, which is the fast path; the others are
`_Block`s, and those of a context form a stack of its own.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial, update_wrapper
from sys import _getframe
from time import perf_counter_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from types import FrameType, TracebackType
    from typing import Any, TypeVar

    from typing_extensions import Self

    F = TypeVar("F", bound=Callable[..., Any])
    # The blocks that began in this context, the innermost first: (block, depth, outer).
    Open = tuple["_Block", int, "Open"] | None

open_spans: ContextVar[Open] = ContextVar("vitald_open_spans", default=None)

# A stack is cleared of blocks that ended elsewhere when it grows to this depth, or to a power of
# two above it: it stays within twice what is open, and a step costs the same however deep it is.
_DEEP = 16


class _Block:
    """A block that is open beside its span's outermost; `frame` is None once it has ended."""

    __slots__ = ("frame", "span", "start")

    def __init__(self, span: Span, start: int, frame: FrameType) -> None:
        self.span, self.start = span, start
        # The frame itself and not its address, which another may have when this one is gone.
        self.frame: FrameType | None = frame


class Span:
    """Something with a beginning and an end; subclasses record in `begin` and `end`."""

    __slots__ = ("_blocks", "_frame", "_free", "_start")

    def __init__(self) -> None:
        # One element while nothing is kept in `_start` and `_frame`: `pop` claims them, in one
        # step. They are claimed only while `_blocks` is empty, so what they hold is the outermost.
        self._free: list[None] = [None]
        self._start = 0
        self._frame: FrameType | None = None
        self._blocks: list[_Block] = []

    def begin(self) -> int:
        """Record the beginning; return its time by `perf_counter_ns`."""
        return perf_counter_ns()

    def end(self, start: int, error: BaseException | None) -> None:
        """Record the end; `error` is what was raised, None when nothing was."""
        raise NotImplementedError

    def unopened(self) -> None:
        """Take note of an end without a beginning, which has no duration to record."""

    def __enter__(self) -> Self:
        return self._open(_getframe(1))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave(_getframe(1), error)

    # The frame below that of a coroutine which runs is the one that awaits it.

    async def __aenter__(self) -> Self:
        return self._open(_getframe(1))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave(_getframe(1), error)

    def __call__(self, function: F) -> F:
        """Measure every call of `function`."""
        return _decorate(self, function)

    def _open(self, frame: FrameType) -> Self:
        if not self._blocks:
            try:
                self._free.pop()
            except IndexError:
                pass
            else:
                self._frame = frame
                self._start = self.begin()
                return self
        block = _Block(self, self.begin(), frame)
        self._blocks.append(block)
        _push(block)
        return self

    def _leave(self, frame: FrameType, error: BaseException | None) -> None:
        start = self._close(frame)
        if start is None:
            self.unopened()
        else:
            self.end(start, error)

    def _close(self, frame: FrameType) -> int | None:
        """Close the block that ends in `frame`; return its start, None when none is open."""
        blocks = self._blocks[::-1]
        for block in blocks:
            if block.frame is frame:
                return self._take(block)
        if self._frame is frame:
            return self._take_outermost()
        inner = open_spans.get()
        while inner is not None:
            if inner[0].span is self and inner[0].frame is not None:
                return self._take(inner[0])
            inner = inner[2]
        if not self._free:
            return self._take_outermost()
        # Begun in another frame and another context: with one block open it is this one.
        return self._take(blocks[0]) if blocks else None

    def _take(self, block: _Block) -> int:
        block.frame = None
        try:  # noqa: SIM105  an import that nobody else here needs
            self._blocks.remove(block)
        except ValueError:  # two threads have ended it
            pass
        open_spans.set(_without_ended(open_spans.get()))
        return block.start

    def _take_outermost(self) -> int:
        start, self._frame = self._start, None
        self._free[:] = (None,)
        return start


def _push(block: _Block) -> None:
    """Put a block on the stack of this context."""
    outer = _without_ended(open_spans.get())
    depth = outer[1] + 1 if outer else 1
    if depth >= _DEEP and not depth & (depth - 1):
        live: list[_Block] = []
        while outer is not None:
            if outer[0].frame is not None:
                live.append(outer[0])
            outer = outer[2]
        for number, one in enumerate(reversed(live), 1):
            outer = (one, number, outer)
        depth = len(live) + 1
    open_spans.set((block, depth, outer))


def _without_ended(top: Open) -> Open:
    """Leave out the innermost blocks that have ended, here or in another context."""
    while top is not None and top[0].frame is None:
        top = top[2]
    return top


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
