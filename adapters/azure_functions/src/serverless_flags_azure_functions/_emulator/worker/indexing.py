"""
Index the functions of an app as the worker before Python 3.13 does.

That worker is on no package index. This module follows azure_functions_worker 4.34.0
(loader.py, ``index_function_app``; functions.py, ``add_indexed_function``), and uses
azure-functions alone.
"""

from __future__ import annotations

import importlib
import inspect
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

_OUT = 1  # BindingInfo.Direction of the protocol


class FunctionLoadError(RuntimeError):
    """Raised when the declaration of a function does not match its bindings."""

    def __init__(self, function: str, what: str) -> None:
        super().__init__(f"cannot load the {function} function: {what}")


@dataclass(frozen=True, slots=True)
class Indexed:
    """A function and its bindings, as the worker has indexed them."""

    name: str
    func: Callable[..., Any]
    directory: str
    is_async: bool
    wants_context: bool
    annotations: Mapping[str, Any]

    inputs: Mapping[str, str]
    """The types of the input bindings, by parameter name."""

    outputs: Mapping[str, str]
    """The types of the output bindings, by parameter name."""

    result: str | None
    """The type of the binding that receives the returned value."""

    raw_bindings: list[str]
    """The bindings in JSON, as they are sent to the host."""


def index_application(script: Path) -> list[Indexed]:
    """
    Import the module and index the functions of its one function app.

    Raises:
        ValueError: when it defines no function app, or several.
        FunctionLoadError: when the declaration of a function does not match its
            bindings.
    """
    module = importlib.import_module(script.stem)
    azure_functions = importlib.import_module("azure.functions")
    apps = [
        value
        for value in vars(module).values()
        if isinstance(value, azure_functions.FunctionRegister)
    ]
    if len(apps) != 1:
        message = f"{script.name} defines {len(apps)} function apps instead of one"
        raise ValueError(message)
    return [_index(function) for function in apps[0].get_functions()]


def find_converter(binding_type: str) -> Any:
    """Return azure-functions' converter for a binding, or None if it needs none."""
    meta = importlib.import_module("azure.functions.meta")
    return meta.get_binding_registry().get(binding_type)


def may_return(converter: Any) -> bool:
    """Return whether a function may return a value without a ``$return`` binding."""
    has_implicit_output = getattr(converter, "has_implicit_output", None)
    return converter is None or bool(has_implicit_output and has_implicit_output())


def _index(function: Any) -> Indexed:
    """Inspect a function as the worker does, with ``inspect`` and ``typing``."""
    func, name = function.get_user_function(), function.get_function_name()
    bindings = {binding.name: binding for binding in function.get_bindings()}
    explicit = bindings.pop("$return", None)
    parameters = set(inspect.signature(func).parameters)
    wants_context = "context" in parameters and "context" not in bindings
    declared = parameters - {"context"} if wants_context else parameters
    _check_parameters(name, declared, set(bindings))
    annotations = typing.get_type_hints(func)
    _check_annotations(name, annotations, bindings, explicit)
    implicit = [b for b in bindings.values() if may_return(find_converter(b.type))]
    returned = [explicit] if explicit else implicit
    return Indexed(
        name=name,
        func=func,
        directory=str(Path(inspect.getfile(func)).parent),
        is_async=inspect.iscoroutinefunction(func),
        wants_context=wants_context,
        annotations=annotations,
        inputs={k: b.type for k, b in bindings.items() if b.direction != _OUT},
        outputs={k: b.type for k, b in bindings.items() if b.direction == _OUT},
        result=returned[-1].type if returned else None,
        raw_bindings=function.get_raw_bindings(),
    )


def _check_parameters(
    name: str, parameters: AbstractSet[str], bindings: AbstractSet[str]
) -> None:
    if unbound := parameters - bindings:
        what = (
            "the following parameters are declared in Python but not in the function "
            f"definition: {sorted(unbound)}"
        )
        raise FunctionLoadError(name, what)
    if unknown := bindings - parameters:
        what = f"the following bindings are not parameters: {sorted(unknown)}"
        raise FunctionLoadError(name, what)


def _check_annotations(
    name: str, annotations: Mapping[str, Any], bindings: Mapping[str, Any], result: Any
) -> None:
    """Check that the converters support the types in the annotations."""
    for parameter, binding in bindings.items():
        kind, converter = annotations.get(parameter), find_converter(binding.type)
        if binding.direction == _OUT or converter is None or kind in (None, str, bytes):
            continue
        if not converter.check_input_type_annotation(kind):
            what = f"type of {parameter} binding does not match its annotation {kind!r}"
            raise FunctionLoadError(name, what)
    if result is None or "return" not in annotations:
        return
    kind, converter = annotations["return"], find_converter(result.type)
    if converter is not None and not converter.check_output_type_annotation(kind):
        what = f"return annotation {kind!r} does not match binding type {result.type!r}"
        raise FunctionLoadError(name, what)
