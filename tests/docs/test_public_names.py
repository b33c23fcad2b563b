"""Each public name, and each of its members, is described in the reference."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

import serverless_flags
from serverless_flags import Invocation, Platform
from serverless_flags.platform import Local

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
NAMES = "names.md"
VERSION = r"\d+\.\d+\.\d+"
ROW = re.compile(rf"^\| \[`([\w.]+)`\]\(([^)]+)\) \| .+ \| {VERSION} \|$", re.MULTILINE)
INTERNAL = {
    "FaultyFlagServer": {"hold", "take", "until_release"},
}
"""Members that other modules of this package call, and nobody else."""


def modules() -> dict[str, list[str]]:
    """Return ``__all__`` of each module that has one and is public by its path."""
    found = {"serverless_flags": list(serverless_flags.__all__)}
    for info in pkgutil.walk_packages(serverless_flags.__path__, "serverless_flags."):
        path = info.module_finder.find_spec(info.name).origin
        if "._" not in info.name and "\n__all__ = " in Path(path).read_text("utf-8"):
            found[info.name] = list(importlib.import_module(info.name).__all__)
    return found


def listed() -> dict[str, dict[str, str]]:
    """Return the link of each name, by the section that lists it."""
    text = (REFERENCE / NAMES).read_text(encoding="utf-8")
    sections = re.split(r"(?m)^## (.*)$", text)[1:]
    return {
        heading.strip("`"): dict(ROW.findall(body))
        for heading, body in zip(*[iter(sections)] * 2, strict=True)
    }


MODULES = modules()
OBJECTS = {
    f"{module}.{name}": getattr(importlib.import_module(module), name)
    for module, names in MODULES.items()
    for name in names
    if module in listed()
}


def section(link: str) -> str:
    """Return the part of a page that a link leads to."""
    name, _, anchor = link.partition("#")
    text = (REFERENCE / (name or NAMES)).read_text(encoding="utf-8")
    if not anchor:
        return text
    for heading in re.finditer(r"^(#+) (.*)$", text, re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", heading[2]).lower().replace(" ", "-")
        if words == anchor:
            rest = text[heading.end() :]
            end = re.search(rf"^#{{1,{len(heading[1])}}} ", rest, re.MULTILINE)
            return heading[0] + (rest[: end.start()] if end else rest)
    message = f"no heading for {link}"
    raise AssertionError(message)


def entries(text: str) -> set[str]:
    """Return what a section describes: in a heading, a first cell, or a first word."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    cells = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    firsts = re.findall(r"^`(.+?)`", text, re.MULTILINE)
    return {*headings, *firsts, *(w for cell in cells for w in words(cell))}


def words(text: str) -> list[str]:
    """Return what stands between backticks."""
    return re.findall(r"`([^`]*)`", text)


def call(name: str, function: object, *, bound: bool) -> str:
    """Return a function with its arguments, as it is to be described."""
    parameters = list(inspect.signature(function).parameters.values())
    bare = []
    for parameter in parameters[bound:]:
        default = parameter.default
        if type(default) is object or isinstance(default, dict):  # has no short text
            default = inspect.Parameter.empty
        empty = inspect.Parameter.empty
        bare.append(parameter.replace(annotation=empty, default=default))
    arguments = str(inspect.Signature(bare))[1:-1].removesuffix(", /")
    return f"{name}({arguments})"


def members(cls: type) -> set[str]:
    """Return what a class has beyond its public base classes."""
    if "__required_keys__" in vars(cls):
        return {*cls.__required_keys__, *cls.__optional_keys__}
    found: set[str] = set(getattr(cls, "_fields", ()))
    if dataclasses.is_dataclass(cls):
        found.update(field.name for field in dataclasses.fields(cls))
    public = set(map(id, OBJECTS.values()))
    for base in cls.__mro__:
        if base.__module__.startswith("serverless_flags") and (
            base is cls or id(base) not in public
        ):
            found |= {*own(base), *constructed(base)}
    internal = INTERNAL.get(cls.__name__, set())
    return {name for name in found if name.partition("(")[0] not in internal}


def own(cls: type) -> set[str]:
    """Return the public attributes, properties and methods that a class defines."""
    found = set()
    for name, value in {**inspect.get_annotations(cls), **vars(cls)}.items():
        if name.startswith("_"):
            continue
        if isinstance(value, staticmethod):
            found.add(call(name, value.__func__, bound=False))
        elif inspect.isfunction(value):
            found.add(call(name, value, bound=True))
        else:
            found.add(name)
    return found


def constructed(cls: type) -> set[str]:
    """Return the arguments of a constructor, and the attributes that it assigns."""
    made = vars(cls).get("__init__")
    if not inspect.isfunction(made) or made.__module__ != cls.__module__:
        return set()  # a protocol's, or none
    if dataclasses.is_dataclass(cls) or cls.__name__ == "FlagSession":
        return set()  # its fields, and its settings, which have a test of their own
    arguments = [name for name in inspect.signature(made).parameters if name != "self"]
    tree = ast.parse(textwrap.dedent(inspect.getsource(made)))
    assigned = [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and not node.attr.startswith("_")
    ]
    return {*arguments, *assigned}


def test_each_public_module_is_listed():
    """A module with ``__all__`` has a section, or a row among the further ones."""
    sections = listed()
    further = sections["Further modules"]

    assert set() == MODULES.keys() - sections.keys() - further.keys()


def test_each_public_name_is_listed_with_its_version():
    """A section has the names of its module's ``__all__``, no more and no fewer."""
    sections = {name: set(rows) for name, rows in listed().items() if name in MODULES}
    expected = {name: set(MODULES[name]) for name in sections}

    assert len(sections) > 5
    assert expected == sections


def test_names_of_further_modules_are_listed():
    """They are those of a section, or the row of their module has them."""
    text = section("#further-modules")
    known = {name for rows in listed().values() for name in rows}
    missing = {
        (module, name)
        for module in listed()["Further modules"]
        for name in MODULES.get(module, [])
        if name not in known and f"`{name}()`" not in text
    }

    assert missing == set()


@pytest.mark.parametrize("name", OBJECTS)
def test_each_public_object_is_described(name):
    """With its arguments, and with all its members and theirs."""
    module, _, short = name.rpartition(".")
    text = section(listed()[module][short])
    described, value = entries(text), OBJECTS[name]

    if inspect.isclass(value):
        missing = members(value) - described
    elif inspect.isfunction(value):
        missing = {call(short, value, bound=False)} - described
        if "arguments are those of" not in text.lower():
            missing |= inspect.signature(value).parameters.keys() - described
    else:
        missing = {short} - {word.rpartition(".")[2] for word in words(text)}

    assert missing == set()


@pytest.mark.parametrize(
    "name",
    sorted(
        {link.partition("#")[0] for of in listed().values() for link in of.values()}
    ),
)
def test_each_page_says_since_when(name):
    """For all that it describes, or for each name."""
    text = (REFERENCE / (name or NAMES)).read_text(encoding="utf-8")

    assert re.search(rf"since {VERSION}|\| since \|", text) or name == "cli.md"


def test_attributes_of_a_platform_have_their_defaults():
    """In the order of the class, with the values in force on a laptop."""
    text = section("platform.md#platform")
    cells = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    described = {
        words(name)[0]: (default.strip("`"), laptop.strip("`"))
        for name, _type, default, laptop, *_ in cells
    }
    expected = {
        name: (str(getattr(Platform, name)), str(getattr(Local, name)))
        for name in inspect.get_annotations(Platform)
    }

    assert expected == described
    assert list(expected) == list(described)


def test_fields_of_an_invocation_have_their_defaults():
    """In the order of the class."""
    text = section("platform.md#invocation")
    cells = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    described = {words(cell[0])[0]: cell[2].strip("`") for cell in cells}
    expected = {
        name: str(dict(value) if isinstance(value, Mapping) else value)
        for name, value in Invocation._field_defaults.items()
    }

    assert list(expected.items()) == list(described.items())
