"""What stands in for a value or for tags where a test expects something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vitald.client.tags import canonical
from vitald.wire.encode import clean_tag

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Any:
    """Equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    # Equal to everything, it can have no hash.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "ANY"


ANY: Any = _Any()


class _Approx:
    """Equal to every number near one."""

    def __init__(self, number: float, rel: float, abs_: float) -> None:
        self._number = number
        self._tolerance = max(rel * abs(number), abs_)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, int | float):
            return NotImplemented
        return abs(other - self._number) <= self._tolerance

    # What is near what is near need not be near.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{self._number:.15g} ± {self._tolerance:g}"


def approx(number: float, *, rel: float = 1e-6, abs: float = 0.0) -> Any:  # noqa: A002  pytest's word
    """Return what equals any number within `rel` of its size or `abs`, whichever is more."""
    return _Approx(number, rel, abs)


class Only:
    """Tags that must be there, and no others; made by `only`."""

    def __init__(self, tags: dict[str, object]) -> None:
        self.tags = tags

    def __repr__(self) -> str:
        return f"only {tags_text(self.tags)}"


if TYPE_CHECKING:
    # What a test may say of tags: pairs that must be there, ["key:value"] alike, `only(…)` of
    # either, and None or ANY for whatever there is.
    TagsWanted = Mapping[str, object] | Iterable[str] | Only | None


def only(tags: Mapping[str, object] | Iterable[str] | None = None) -> Only:
    """Return what matches exactly these tags; without any, what has no tags."""
    return Only(_wanted(tags))


def tags_match(wanted: TagsWanted, found: Mapping[str, str]) -> bool:
    """Say whether tags are as wanted; others beside them are allowed, but not by `only`."""
    if wanted is None or wanted is ANY:
        return True
    if isinstance(wanted, Only):
        return wanted.tags.keys() == found.keys() and tags_match(wanted.tags, found)
    return all(
        key in found and _is_value(value, key, found[key]) for key, value in _wanted(wanted).items()
    )


def common_tags(wanted: TagsWanted, found: Mapping[str, str]) -> int:
    """Return how many of the wanted tags are there."""
    if wanted is None or wanted is ANY:
        return 0
    pairs = wanted.tags if isinstance(wanted, Only) else _wanted(wanted)
    return sum(key in found and _is_value(one, key, found[key]) for key, one in pairs.items())


def tags_text(tags: TagsWanted) -> str:
    """Return tags the way they are shown to people: `{key=value, bare}`."""
    if tags is None or tags is ANY:
        return ""
    if isinstance(tags, Only):
        return repr(tags)
    parts = [key if _is_bare(value) else f"{key}={value}" for key, value in _wanted(tags).items()]
    return "{" + ", ".join(parts) + "}"


def _is_bare(value: object) -> bool:
    return isinstance(value, str) and not value


def _wanted(tags: Mapping[str, object] | Iterable[str] | None) -> dict[str, object]:
    if isinstance(tags, Mapping):
        return {clean_tag(key)[0]: value for key, value in tags.items()}
    return dict(canonical(tags))


def _is_value(wanted: object, key: str, found: str) -> bool:
    """Say whether a tag's value is as wanted: equal, or equal to the text that it is sent as."""
    return bool(wanted == found) or clean_tag(key, wanted)[1] == found
