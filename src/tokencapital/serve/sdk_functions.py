"""Functions of an application, recorded each time that they are called: plain, async, and generators of both kinds."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from types import TracebackType
from typing import Any, Self

from tokencapital.serve.sdk_spans import TRUNCATED, Plain, SdkSpan
from tokencapital.serve.sdk_steps import begin, end, enter, leave

_MOST_ITEMS = 10_000
"""So many items of a generator are kept: it may never end."""


def traced(function: Any, name: str, told: Mapping[str, Plain]) -> Any:
    """The function, recorded each time that it is called."""
    start = _Start(function, name, told)
    if inspect.isasyncgenfunction(function):
        made = _async_generator(function, start)
    elif inspect.iscoroutinefunction(function):
        made = _coroutine(function, start)
    elif inspect.isgeneratorfunction(function):
        made = _generator(function, start)
    else:
        made = _plain(function, start)
    return functools.wraps(function)(made)


class _Start:
    """Begins the work that a call of a function is, with what it is given."""

    __slots__ = ("_hidden", "_name", "_names", "_told")

    def __init__(self, function: Any, name: str, told: Mapping[str, Plain]) -> None:
        self._name = name
        self._told = told
        try:
            names = list(inspect.signature(function).parameters)
        except (TypeError, ValueError):
            names = []
        self._hidden = bool(names) and names[0] in {"self", "cls"}
        self._names = names[1:] if self._hidden else names

    def __call__(self, given: tuple[Any, ...], named: dict[str, Any]) -> SdkSpan | None:
        """The work; None: nothing is recorded."""
        span = begin(self._name, self._told)
        if span is not None:
            given = given[1:] if self._hidden else given
            alone = len(given) == 1 and not named and isinstance(given[0], str)
            span.put("tcap.input", given[0] if alone else dict(zip(self._names, given, strict=False)) | named)
        return span


class _Called:
    """A function's work, from its call to its answer: the span is the one that is worked on, and then ended."""

    __slots__ = ("_span", "_token", "answer")

    def __init__(self, span: SdkSpan) -> None:
        self._span = span
        self.answer: Any = None

    def __enter__(self) -> Self:
        self._token = enter(self._span)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        leave(self._token)
        if error is None:
            self._span.put("tcap.answer", self.answer)
        end(self._span, error)


def _plain(function: Any, start: _Start) -> Callable[..., Any]:
    def traced_function(*given: Any, **named: Any) -> Any:
        span = start(given, named)
        if span is None:
            return function(*given, **named)
        with _Called(span) as called:
            called.answer = function(*given, **named)
        return called.answer

    return traced_function


def _coroutine(function: Any, start: _Start) -> Callable[..., Any]:
    async def traced_function(*given: Any, **named: Any) -> Any:
        span = start(given, named)
        if span is None:
            return await function(*given, **named)
        with _Called(span) as called:
            called.answer = await function(*given, **named)
        return called.answer

    return traced_function


def _generator(function: Any, start: _Start) -> Callable[..., Any]:
    def traced_function(*given: Any, **named: Any) -> Generator[Any, Any, Any]:
        made = function(*given, **named)
        span = start(given, named)
        if span is None:
            return (yield from made)
        said = list[Any]()
        step, sent = made.send, None
        try:
            while True:
                item = _within(span, step, sent)
                _note(span, said, item)
                try:
                    step, sent = made.send, (yield item)
                except GeneratorExit:
                    made.close()
                    raise
                except BaseException as error:  # noqa: BLE001 (whoever reads throws it into the generator)
                    step, sent = made.throw, error
        except StopIteration as done:
            _end(span, said, done.value, None)
            return done.value
        except BaseException as error:
            _end(span, said, None, error)
            raise

    return traced_function


def _async_generator(function: Any, start: _Start) -> Callable[..., Any]:
    async def traced_function(*given: Any, **named: Any) -> AsyncGenerator[Any, Any]:
        made = function(*given, **named)
        span = start(given, named)
        said = list[Any]()
        step, sent = made.asend, None
        try:
            while True:
                item = await _awaited_within(span, step, sent)
                _note(span, said, item)
                try:
                    step, sent = made.asend, (yield item)
                except GeneratorExit:
                    await made.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 (whoever reads throws it into the generator)
                    step, sent = made.athrow, error
        except StopAsyncIteration:
            _end(span, said, None, None)
        except BaseException as error:
            _end(span, said, None, error)
            raise

    return traced_function


def _within(span: SdkSpan, step: Callable[[Any], Any], sent: Any) -> Any:
    """One step of a generator, whose work is the span's; between the steps it is not."""
    token = enter(span)
    try:
        return step(sent)
    finally:
        leave(token)


async def _awaited_within(span: SdkSpan | None, step: Callable[[Any], Awaitable[Any]], sent: Any) -> Any:
    if span is None:
        return await step(sent)
    token = enter(span)
    try:
        return await step(sent)
    finally:
        leave(token)


def _note(span: SdkSpan | None, said: list[Any], item: Any) -> None:
    """The item is among what the generator gave, as long as there is room."""
    if span is None:
        return
    if len(said) < _MOST_ITEMS:
        said.append(item)
    else:
        span.attributes[TRUNCATED] = 1


def _end(span: SdkSpan | None, said: list[Any], returned: Any, error: BaseException | None) -> None:
    """The generator gave all of this: its text is kept in one piece; what it returned counts more."""
    if span is None:
        return
    whole = "".join(said) if said and all(isinstance(one, str) for one in said) else said
    span.put("tcap.answer", whole if returned is None else returned)
    end(span, error)
