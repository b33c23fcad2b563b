"""Public signatures name public types only, so that you can annotate your own code."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import serverless_flags

if TYPE_CHECKING:
    from types import ModuleType

PACKAGE = Path(serverless_flags.__file__).parent
MODULES = ("platform", "types", "clients", "hookspecs", "signals", "testing")


@functools.cache
def exported() -> set[str]:
    """Return every name in an ``__all__`` of a module that is public by its path."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).parts
        if any(re.match("_[^_]", part) for part in parts):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            match node:
                case ast.Assign([ast.Name("__all__")], names):
                    found.update(ast.literal_eval(names))
    return found


@functools.cache
def names(module: ModuleType) -> set[str]:
    """Return the names in a module that are classes or objects of this package."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        match node:
            case ast.ImportFrom(str(source), imported):
                if source.startswith("serverless_flags"):
                    found.update(alias.name for alias in imported)
            case ast.ClassDef(name):
                found.add(name)
    return found


def annotations(value: object) -> list[tuple[str, str, ModuleType]]:
    """Return what a public object is annotated with: where, how, in which module."""
    if inspect.isfunction(value):
        module = importlib.import_module(value.__module__)
        texts = map(str, value.__annotations__.values())
        return [(value.__qualname__, text, module) for text in texts]
    found = []
    for base in value.__mro__ if inspect.isclass(value) else ():
        if base.__module__.startswith("serverless_flags"):
            module = importlib.import_module(base.__module__)
            for name, text in inspect.get_annotations(base).items():
                if not name.startswith("_"):
                    found.append((f"{base.__qualname__}.{name}", str(text), module))
            for function in functions(base):
                found += annotations(function)
    return found


def functions(cls: type) -> list[object]:
    """Return the public methods of a class, its constructor, and its properties."""
    found = []
    for name, member in vars(cls).items():
        if name == "__init__" or not name.startswith("_"):
            function = member.fget if isinstance(member, property) else member
            found.append(getattr(function, "__func__", function))
    return [function for function in found if inspect.isfunction(function)]


def public_objects() -> dict[str, object]:
    """Return what is in ``__all__`` of the modules that you import from."""
    found = {}
    for path in ("serverless_flags", *(f"serverless_flags.{name}" for name in MODULES)):
        module = importlib.import_module(path)
        for name in module.__all__:
            found[f"{path}.{name}"] = getattr(module, name)
    return found


OBJECTS = public_objects()


@pytest.mark.parametrize("name", OBJECTS)
def test_no_public_signature_names_a_private_class(name):
    """Each class of this package in an annotation is in a public ``__all__``."""
    private = [
        (where, word)
        for where, text, module in annotations(OBJECTS[name])
        for word in set(re.findall(r"\w+", text)) & names(module)
        if word not in exported()
    ]

    assert private == []
