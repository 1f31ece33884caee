"""Section and model meet here: pydantic's errors become faults with positions and suggestions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from vitald.config.faults import Fault
from vitald.config.wording import explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vitald.config.faults import Path, Position
    from vitald.config.source import Item

# A default that follows from a faulty key cannot be made: the faulty key has its own fault.
_CONSEQUENCE = "default_factory_not_called"


def validate(
    model: type[BaseModel],
    values: Mapping[str, Any],
    root: Item,
    path: Path,
    context: Mapping[str, Any],
) -> tuple[Any, list[Fault]]:
    """Return the model made of `values`, which stand at `path`, or None and every fault."""
    try:
        made = model.model_validate(values, context=dict(context))
    except ValidationError as error:
        return None, _faults(error, model, root, path)
    except Exception as error:
        # A plug-in's validator may raise anything; pydantic collects ValueError only.
        found, at = root.locate(path)
        message = f"cannot check the section: {type(error).__name__} in its validator"
        return None, [Fault(at, found, message)]
    item = root
    for part in path:
        item = item.value[part]
    return made, list(_switches_for_numbers(item, made, path))


def _switches_for_numbers(item: Item, made: Any, path: Path) -> Iterator[Fault]:
    """Find `true` where a number is meant: Python counts it as 1, and no person does."""
    if isinstance(item.value, bool):
        if isinstance(made, (int, float)) and not isinstance(made, bool):
            yield Fault(item.at, path, f"must be a number, not {str(item.value).lower()}")
    elif isinstance(item.value, dict):
        for key, inner in item.value.items():
            value = made.get(key) if isinstance(made, dict) else getattr(made, key, None)
            yield from _switches_for_numbers(inner, value, (*path, key))
    elif isinstance(item.value, list) and isinstance(made, (list, tuple)):
        # A validator may have made the list shorter.
        for number, (inner, value) in enumerate(zip(item.value, made, strict=False)):
            yield from _switches_for_numbers(inner, value, (*path, number))


def _faults(error: ValidationError, model: type[BaseModel], root: Item, path: Path) -> list[Fault]:
    messages: dict[tuple[Position, Path], dict[str, None]] = {}
    faults: list[Fault] = []
    for entry in error.errors(include_url=False):
        if entry["type"] == _CONSEQUENCE:
            continue
        found, at = root.locate((*path, *entry["loc"]))
        message = explain(entry, sorted(_keys(model, entry["loc"][:-1])))
        if entry["type"] == "extra_forbidden":
            faults.append(Fault(root.key(found), found, message))
        elif entry["type"] == "missing":
            faults.append(Fault(at, found, message))
        else:
            messages.setdefault((at, found), {})[message] = None
    # Several messages about one value come from the members of a union: any of them would do.
    faults += [Fault(at, found, ", or: ".join(said)) for (at, found), said in messages.items()]
    return faults


def _keys(model: type[BaseModel], path: tuple[int | str, ...]) -> set[str]:
    """Return the keys of the section at `path` below `model`."""
    models = {model}
    for part in path:
        fields = [m.model_fields[part] for m in models if part in m.model_fields]
        if fields:
            models = {found for field in fields for found in _models_in(field.annotation)}
    return {info.alias or name for m in models for name, info in m.model_fields.items()}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    # Python 3.10 takes list[int] for a type.
    is_class = isinstance(annotation, type) and get_origin(annotation) is None
    if is_class and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
