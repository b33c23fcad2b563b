"""A model in place of the event is read like the event it was made from."""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import pytest

from serverless_flags_aws_lambda._context import read_context
from serverless_flags_aws_lambda._models import unpack

EVENTS = Path(__file__).parent / "events"
NAMES = ["function_url", "http_api", "rest_api", "alb", "websocket", "app_sync", "sqs"]


class Powertools(Mapping[str, Any]):
    """An event source class of Powertools: a mapping with a ``raw_event``."""

    def __init__(self, event: dict[str, Any]) -> None:
        self._event = event

    @property
    def raw_event(self) -> dict[str, Any]:
        """Return the event."""
        return self._event

    def __getitem__(self, key: str) -> Any:
        return self._event[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._event)

    def __len__(self) -> int:
        return len(self._event)


class OldPowertools:
    """An event source class of older versions, which are no mappings."""

    def __init__(self, event: dict[str, Any]) -> None:
        self._event = event

    @property
    def raw_event(self) -> dict[str, Any]:
        """Return the event."""
        return self._event


class Dumped:
    """A model whose only interface is ``model_dump``."""

    def __init__(self, event: dict[str, Any]) -> None:
        self._event = event

    def model_dump(self, *, by_alias: bool) -> dict[str, Any]:
        """Return the event under its own names."""
        assert by_alias
        return self._event


class OldDumped:
    """A model of pydantic 1 whose only interface is ``dict``."""

    def __init__(self, event: dict[str, Any]) -> None:
        self._event = event

    def dict(self, *, by_alias: bool) -> dict[str, Any]:
        """Return the event under its own names."""
        assert by_alias
        return self._event


class Root:
    """A RootModel of pydantic 2."""

    model_fields: ClassVar[Mapping[str, Any]] = {"root": None}

    def __init__(self, event: dict[str, Any]) -> None:
        self.root = event


def _declared(way: str, value: Any) -> Any:
    """Return a structure of classes that declare their fields as a library does."""
    if not isinstance(value, dict) or not all(map(str.isidentifier, value)):
        return value
    parts = {name: _declared(way, part) for name, part in value.items()}
    fields: dict[str, Any] = {
        "model_fields": {name: SimpleNamespace(alias=None) for name in parts},
        "__fields__": {name: SimpleNamespace(alias=name) for name in parts},
        "__struct_fields__": tuple(parts),
        "__attrs_attrs__": tuple(SimpleNamespace(name=name) for name in parts),
    }
    model = type("Model", (), {way: fields[way]})()
    model.__dict__.update(parts)
    return model


def _dataclass(value: Any) -> Any:
    if not isinstance(value, dict) or not all(map(str.isidentifier, value)):
        return value
    names = [name for name in value if name != "lambda"]
    made = dataclasses.make_dataclass("Part", names)
    return made(**{name: _dataclass(value[name]) for name in names})


MODELS = {
    "Powertools": Powertools,
    "old Powertools": OldPowertools,
    "model_dump": Dumped,
    "dict": OldDumped,
    "RootModel": Root,
    "dataclass": _dataclass,
    "pydantic 2": lambda event: _declared("model_fields", event),
    "pydantic 1": lambda event: _declared("__fields__", event),
    "msgspec": lambda event: _declared("__struct_fields__", event),
    "attrs": lambda event: _declared("__attrs_attrs__", event),
}


@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("name", NAMES)
def test_a_model_has_the_events_context(model: str, name: str) -> None:
    """The context is that of the event, for the models of every library."""
    event = json.loads((EVENTS / f"{name}.json").read_text())

    assert read_context(event) == read_context(MODELS[model](event))


class Http(NamedTuple):
    """A part of an event with values that are not text."""

    source_ip: object
    method: object


class Method(str, enum.Enum):
    """An enumeration of HTTP methods, as a model may use it."""

    GET = "GET"


@dataclasses.dataclass
class RequestContext:
    """A part of an event with Python's snake_case names."""

    http: Http
    authorizer: object = None


class Request:
    """A model of pydantic 2 with aliases and extra fields."""

    model_fields: ClassVar[Mapping[str, Any]] = {
        "inner": SimpleNamespace(alias="requestContext"),
        "other": SimpleNamespace(alias=None, validation_alias=["a", "path"]),
    }

    def __init__(self, inner: object) -> None:
        self.inner = inner
        self.other = "other"
        self.model_extra = {"rawPath": "/x"}


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.1",
        "192.0.2.1/32",
        ipaddress.ip_address("192.0.2.1"),
        ipaddress.ip_network("192.0.2.1"),
    ],
)
def test_names_and_values_of_models(address: object) -> None:
    """Aliases, snake_case names, address objects and enumerations are understood."""
    lambda_authorizer = SimpleNamespace(principalId="ignored: not a structure")
    part = RequestContext(Http(address, Method.GET), {"lambda": lambda_authorizer})
    context = read_context(Request(part))

    properties = {"method": "GET", "path": "/x"}
    assert {"remoteAddress": "192.0.2.1", "properties": properties} == context
    assert type(context["properties"]["method"]) is str


def test_a_name_that_python_reserves() -> None:
    """``lambda`` is read from ``lambda_``, because it is a keyword."""

    @dataclasses.dataclass
    class Authorizer:
        lambda_: object

    authorizer = Authorizer({"principalId": "user-1"})
    http = {"http": {"sourceIp": "192.0.2.1"}, "authorizer": authorizer}

    assert read_context({"requestContext": http})["userId"] == "user-1"


class NotText:
    """A model whose ``raw_event`` is not a structure."""

    model_fields = "none"
    raw_event = 7


class Bare:
    """A model whose methods do not return a structure."""

    def __init__(self, result: object) -> None:
        self._result = result

    def model_dump(self, **_: object) -> object:
        """Return something else."""
        return self._result


class OddRoot:
    """A RootModel of a list."""

    model_fields: ClassVar[Mapping[str, Any]] = {"root": None}
    root: ClassVar[object] = [1]


@pytest.mark.parametrize("event", [NotText(), Bare(None), Bare([1]), OddRoot()])
def test_other_objects_have_no_context(event: object) -> None:
    """The context of any other object is empty, without an error."""
    assert read_context(event) == {}


def test_a_model_is_a_mapping_of_what_it_declares() -> None:
    """The fields are listed by name and by alias."""
    fields = unpack(Request(None))

    assert fields is not None
    assert ["inner", "other", "requestContext"] == sorted(fields)
    assert 3 == len(fields)
    assert fields["requestContext"] is None


def test_a_models_fault_is_raised_for_the_session_to_report() -> None:
    """An error of a model is raised; the session logs it and uses no context."""

    class Broken:
        def model_dump(self, **_: object) -> object:
            raise LookupError

    with pytest.raises(LookupError):
        read_context(Broken())
