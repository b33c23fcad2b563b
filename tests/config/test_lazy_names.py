"""Public names that are imported only when they are asked for."""

from __future__ import annotations

import importlib

import pytest

import serverless_flags
from serverless_flags import clients, types
from serverless_flags.clients.impression import Impression
from serverless_flags.clients.memory import MemoryClient


def test_types_of_signatures() -> None:
    """`Variant` is the type of the module for annotations."""
    assert types.Variant is serverless_flags.Variant
    assert {"name", "enabled", "feature_enabled"} == types.Variant.__required_keys__


def test_the_class_of_a_status() -> None:
    """It is what `FlagSession.status` returns."""
    with serverless_flags.FlagSession(client="memory", platform="local") as flags:
        status = flags.status

    assert serverless_flags.Status is type(status)


@pytest.mark.parametrize("client", [Impression, MemoryClient])
def test_classes_of_clients(client) -> None:
    """They are found in `serverless_flags.clients` too."""
    assert client is getattr(clients, client.__name__)


@pytest.mark.parametrize("module", ["serverless_flags", "serverless_flags.clients"])
def test_an_unknown_name_is_refused(module) -> None:
    """As by a module without such names."""
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = importlib.import_module(module).Nothing
