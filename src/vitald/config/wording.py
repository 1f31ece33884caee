"""Words for faults: what YAML's parser and pydantic find, said for whoever wrote the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vitald.config.faults import Fault, Position
from vitald.config.suggest import nearest, suggestion
from vitald.config.units import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SYNTAX = (
    (
        "mapping values are not allowed",
        'a ":" is not expected here: check the indentation, and quote a text that has one',
    ),
    ("cannot start any token", "this character cannot begin a value: put the text in quotes"),
    ("block end", "this does not belong to what is above: check the indentation"),
    ("expected key", "this does not belong to what is above: check the indentation"),
    ("document start", "this is no key: the file must be a section of keys, like interval: 10s"),
    ("'-' indicator", "this does not belong to what is above: check the indentation"),
    ("entries are not allowed", 'a "-" is not expected here: begin the list on a line of its own'),
    ("expected ':'", 'a ":" is missing behind this key, or a quote is not closed'),
    ("',' or '}'", 'a "," or the closing "}" is missing'),
    ("',' or ']'", 'a "," or the closing "]" is missing'),
    ("unexpected end of stream", "a quote is opened and not closed"),
    ("undefined alias", "the alias names an anchor that is not above it"),
    ("node content", "a value is expected here: put a text that begins like this in quotes"),
    ("second occurrence", "the anchor is defined twice"),
    ("escape character", "there is no such escape: use single quotes for a backslash"),
)
# The beginnings of pydantic's error types.
_TYPES = (
    ("int_", "a whole number"),
    ("float_", "a number"),
    ("bool_", "true or false"),
    ("string_type", "a text"),
    ("list_type", "a list"),
    ("tuple_type", "a list"),
    ("set_type", "a list"),
    ("frozen_set_type", "a list"),
    ("dict_type", "a section of keys"),
    ("mapping_type", "a section of keys"),
    ("model_", "a section of keys"),
)
_TAB = "a tab stands here: indent with blanks"
_NO_VALUE = "has no value: give it one, or leave the key out"


def syntax_fault(error: Exception, text: str) -> Fault:
    """Return a fault for what YAML's parser raised."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return Fault(Position(1, 1), (), f"cannot read the YAML: {error}")
    at = Position(mark.line + 1, mark.column + 1)
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if line[: mark.column + 1].endswith("\t") or line[: mark.column].strip(" ") == "\t":
        return Fault(at, (), _TAB)
    problem = str(getattr(error, "problem", None) or "it is no YAML")
    words = next((words for part, words in _SYNTAX if part in problem), None)
    if words is None:
        return Fault(at, (), f"cannot read the YAML: {problem}")
    begun = getattr(error, "context_mark", None)
    if begun is None or begun.line == mark.line:
        return Fault(at, (), words)
    if "expected ':'" in problem:
        # Noticed on a later line; the key is where the parser began to look for its colon.
        return Fault(Position(begun.line + 1, begun.column + 1), (), words)
    began = "first" if "occurrence" in problem else "begun"
    return Fault(at, (), f"{words} ({began} on line {begun.line + 1})")


def explain(error: Mapping[str, Any], known: Collection[str]) -> str:
    """Return the message for one of pydantic's errors.

    `known` are the keys of the section that the error is in.
    """
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    key = str(error["loc"][-1]) if error["loc"] else ""
    if kind == "missing":
        return f'the key "{key}" is missing'
    if kind == "extra_forbidden":
        return f"unknown key{suggestion(key, known)}"
    if value is None:
        return _NO_VALUE
    if kind in {"value_error", "assertion_error"}:
        return str(context.get("error") or error["msg"])
    if kind in {"literal_error", "enum"}:
        return _not_one_of(value, str(context.get("expected", "")))
    return _mistyped(kind, value) or _out_of_bounds(kind, context) or _as_is(str(error["msg"]))


def _not_one_of(value: object, expected: str) -> str:
    words = [word.strip("'\" ") for word in expected.replace(" or ", ",").split(",")]
    meant = nearest(value, words) if isinstance(value, str) else None
    hint = f'; did you mean "{meant}"?' if meant else ""
    return f"{quoted(value)} is not one of {', '.join(words)}{hint}"


def _mistyped(kind: str, value: object) -> str | None:
    expected = next((words for prefix, words in _TYPES if kind.startswith(prefix)), None)
    if expected == "a section of keys":
        return f"must be {expected}"  # what stands there instead may be a secret
    if expected == "a list":
        is_scalar = isinstance(value, (str, int, float))
        return f"must be {expected}{': put it in [ ]' if is_scalar else ''}"
    if expected == "a text" and isinstance(value, bool):
        return f'must be {expected}: put it in quotes: "{quoted(value)}"'
    return expected and f"must be {expected}, not {quoted(value)}"


def _out_of_bounds(kind: str, context: Mapping[str, Any]) -> str | None:
    bounds = {
        "greater_than": ("must be above {}", "gt"),
        "greater_than_equal": ("must be at least {}", "ge"),
        "less_than": ("must be below {}", "lt"),
        "less_than_equal": ("must be at most {}", "le"),
        "too_short": ("must have at least {} in the list", "min_length"),
        "too_long": ("must have at most {} in the list", "max_length"),
        "string_too_short": ("must have at least {} characters", "min_length"),
        "string_too_long": ("must have at most {} characters", "max_length"),
        "string_pattern_mismatch": ("must match {}", "pattern"),
    }
    if kind not in bounds:
        return None
    words, name = bounds[kind]
    limit = context.get(name)
    return words.format(f"{limit:g}" if isinstance(limit, float) else limit)


def _as_is(message: str) -> str:
    return message[:1].lower() + message[1:]
