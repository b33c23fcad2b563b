"""Read events that a library has parsed into objects, without importing the library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def unpack(value: Any) -> Mapping[str, Any] | None:
    """
    Return an event, or a part of one, as a mapping; None if it has no structure.

    It reads models of pydantic 1 and 2, dataclasses, attrs classes, msgspec structs,
    named tuples and objects with a ``raw_event``, as Powertools has them. Their classes
    are inspected rather than the objects, because a mock or a proxy has any attribute.
    """
    kind = type(value)
    if hasattr(kind, "raw_event"):
        raw = value.raw_event
        return raw if isinstance(raw, Mapping) else None
    names = _fields_of(kind)
    if names.keys() == {"root"}:  # pydantic's RootModel
        return value.root if isinstance(value.root, Mapping) else None
    if names:
        return _Fields(value, names)
    for dump in ("model_dump", "dict"):
        if callable(getattr(kind, dump, None)):
            dumped = getattr(value, dump)(by_alias=True)
            return dumped if isinstance(dumped, Mapping) else None
    return None


def _fields_of(kind: type) -> dict[str, str]:
    """Return the attributes that a class declares, by name and by alias."""
    for declared in ("model_fields", "__fields__", "__dataclass_fields__"):
        fields = getattr(kind, declared, None)
        if isinstance(fields, Mapping):
            return _with_aliases(fields)
    for declared in ("__struct_fields__", "_fields"):
        fields = getattr(kind, declared, None)
        if isinstance(fields, tuple):
            return {name: name for name in fields if isinstance(name, str)}
    attributes = getattr(kind, "__attrs_attrs__", ())
    return {attribute.name: attribute.name for attribute in attributes}


def _with_aliases(fields: Mapping[str, Any]) -> dict[str, str]:
    names = {name: name for name in fields}
    for name, field in fields.items():
        for kind in ("alias", "serialization_alias", "validation_alias"):
            alias = getattr(field, kind, None)
            if isinstance(alias, str):
                names.setdefault(alias, name)
    return names


class _Fields(Mapping[str, Any]):
    """A mapping from AWS's keys to the declared attributes of an object."""

    def __init__(self, value: Any, names: Mapping[str, str]) -> None:
        self._value = value
        self._names = names

    def __getitem__(self, key: str) -> Any:
        """Return an attribute; for ``requestContext`` also ``request_context``."""
        for name in (key, _snake_case(key), f"{key}_"):
            if name in self._names:
                return getattr(self._value, self._names[name])
        extra = getattr(self._value, "model_extra", None) or {}
        return extra[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _snake_case(key: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in key)
