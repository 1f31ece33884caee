"""Tags as callers write them, to the one form in which equal tags are equal."""

from __future__ import annotations

from vitald.wire.encode import clean_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vitald.metric import Tags

    # {"queue": "mail"}, ["queue:mail", "bare"], [("queue", "mail")], "queue:mail,bare", or None.
    TagsLike = Mapping[str, object] | Iterable[str | tuple[str, object]] | None


def canonical(tags: TagsLike, base: Tags = ()) -> Tags:
    """Return the tags over `base`: clean, sorted, each key once.

    A value is sent as its `str`; an empty one makes a bare tag. Of a repeated key the last counts,
    and a tag without a key is left out, as on the wire.
    """
    found = dict(base)
    for key, value in _pairs(tags):
        clean_key, clean_value = clean_tag(key, value)
        if clean_key:
            found[clean_key] = clean_value
    return tuple(sorted(found.items()))


def _pairs(tags: TagsLike) -> Iterable[tuple[str, object]]:
    if tags is None:
        return ()
    items = getattr(tags, "items", None)
    if items is not None:
        return items()  # type: ignore[no-any-return]
    if isinstance(tags, str):
        tags = tags.split(",")
    return [_split(tag) for tag in tags]


def _split(tag: str | tuple[str, object]) -> tuple[str, object]:
    if isinstance(tag, str):
        key, _, text = tag.partition(":")
        return key, text
    if not isinstance(tag, tuple | list):
        raise TypeError(f"cannot read a tag: {tag!r} is neither text nor a pair")
    key, value = tag
    return key, value
