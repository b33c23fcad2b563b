"""The reference says what the code says, no more and no less."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import serverless_flags
from serverless_flags import ConfigurationError, FlagSession, State, Status
from serverless_flags._process.state import FLUSH_INTERVAL
from serverless_flags._settings import ENVIRONMENT, Settings
from serverless_flags.cli._commands import commands
from serverless_flags.hookspecs import HookSpecs

if TYPE_CHECKING:
    import click

ROOT = Path(__file__).parents[2]
SETTINGS = "docs/reference/settings.md"
HEADING = re.compile(r"^### (\w+)(?:\((.*)\))?$", re.MULTILINE)


def rows(text: str, *header: str) -> list[list[str]]:
    """Return the cells of every table whose header begins with these words."""
    found, inside = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif inside and not set(line) <= set("| -"):
            found.append(cells)
        else:
            inside = inside or cells[: len(header)] == list(header)
    return found


def words(cell: str) -> list[str]:
    """Return what stands between backticks."""
    return re.findall(r"`([^`]*)`", cell)


def stated(value: object) -> str:
    """Return how a default is written in a table."""
    if value is None or value in ((), {}):
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def value(cell: str) -> str:
    """Return a default without the words that explain it."""
    return cell.partition(" where ")[0]


def defaults() -> dict[str, str]:
    """Return each keyword's default as it is to be written."""
    found = {}
    for name, default in Settings().values().items():
        found[name] = stated(default)
    return found | {
        "app_name": "the platform's function name",
        "clock": "the system's",
        "context": "the adapter's",
        "flush_interval": f"{FLUSH_INTERVAL:g}, or 0"
        " where the platform sends no shutdown signal",
        "instance_id": "unique for each process",
        "platform": "detected",
    }


def test_each_setting_is_listed_once_with_its_variable(read):
    """The page has the keywords of the code, the signature and their variables."""
    listed = [cells[:2] for cells in rows(read(SETTINGS), "keyword", "environment")]
    expected = {name: ENVIRONMENT.get(name) for name in defaults()}
    keywords = set(inspect.signature(FlagSession).parameters)

    actual = {words(name)[0]: (words(var) or [None])[0] for name, var in listed}

    assert len(listed) == len(actual)
    assert expected == actual
    assert keywords == set(actual)


def test_defaults_are_those_of_the_code(read):
    """What the settings page states, FlagSession does."""
    listed = rows(read(SETTINGS), "keyword", "environment", "default")

    actual = {words(name)[0]: cell.strip("`") for name, _, cell, *_ in listed}

    assert defaults() == actual


def test_defaults_in_the_readme_are_those_of_the_code(read):
    """The README's shorter table has the same values."""
    listed = rows(read("README.md"), "variable", "default")
    keywords = {variable: name for name, variable in ENVIRONMENT.items()}
    expected = {cells[0]: defaults()[keywords[words(cells[0])[0]]] for cells in listed}

    assert len(listed) > 3
    assert {variable: value(cell) for variable, cell in expected.items()} == {
        cells[0]: value(cells[1]) for cells in listed
    }


def test_what_is_called_malformed_is_refused(read):
    """Each example of a malformed value raises the error that the page promises."""
    for name, *_, cell in rows(read(SETTINGS), "keyword", "environment"):
        (keyword,) = words(name)
        assert words(cell), f"{keyword} has no example"
        for example in words(cell):
            with pytest.raises(ConfigurationError):
                FlagSession(**{keyword: ast.literal_eval(example)})


def test_each_hook_has_a_heading_with_its_arguments(read):
    """In the order of the specification, so that nothing can be forgotten."""
    specified = [
        (name, ", ".join(list(inspect.signature(spec).parameters)[1:]))
        for name, spec in vars(HookSpecs).items()
        if not name.startswith("_")
    ]

    assert specified == HEADING.findall(read("docs/reference/hooks.md"))


def test_each_hook_names_the_adapters_that_implement_it(read):
    """Read from the adapters' source, the example of a third party's included."""
    expected: dict[str, set[str]] = {}
    sources = [*ROOT.glob("adapters/*/src"), *ROOT.glob("examples/*/src")]
    for path in itertools.chain(*(source.rglob("*.py") for source in sources)):
        package = next(part for part in path.parts if part.startswith("serverless_fl"))
        for name in _implemented(path):
            word = package.removeprefix("serverless_flags_")
            expected.setdefault(name, set()).add(word)
    sections = re.split(HEADING, read("docs/reference/hooks.md"))[1:]
    actual = {}
    for name, _arguments, text in zip(*[iter(sections)] * 3, strict=True):
        line = re.search(r"^Implemented by: (.*)$", text, re.MULTILINE)
        if line is not None:
            actual[name] = set(words(line[1]))

    assert expected == actual


def _implemented(path: Path) -> list[str]:
    """Return the names of the functions that are marked as hooks."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(mark) == "hookimpl" for mark in node.decorator_list)
    ]


def test_each_heading_of_a_method_has_a_method(read):
    """No heading of the page names a method that does not exist."""
    described = {name for name, _ in HEADING.findall(read("docs/reference/session.md"))}
    methods = {name for name, _ in inspect.getmembers(FlagSession, inspect.isfunction)}

    assert set() == described - methods


def test_each_field_of_the_status_is_described(read):
    """In the order of the class."""
    listed = rows(read("docs/reference/session.md"), "field", "type")
    assert list(Status._fields) == [words(name)[0] for name, *_ in listed]


def test_each_state_is_described(read):
    """With the value that a log shows."""
    listed = rows(read("docs/reference/session.md"), "`State`", "value")
    states = {state.name: state.value for state in State}

    assert states == {words(name)[0]: words(value)[0] for name, value, _ in listed}


def test_each_option_of_each_command_is_listed(read):
    """With its default, where it has one."""
    sections = re.split(r"(?m)^## (\w+)$", read("docs/reference/cli.md"))[1:]
    listed = {
        name: {words(option)[0]: default for option, default, _ in rows(text, "option")}
        for name, text in zip(*[iter(sections)] * 2, strict=True)
    }

    assert set(commands.commands) == set(listed)
    for name, command in commands.commands.items():
        options = {option.opts[0]: option for option in command.params}
        assert set(options) == set(listed[name])
        for option, default in listed[name].items():
            _check_default(options[option], default)


def _check_default(option: click.Parameter, written: str) -> None:
    if option.required:
        assert written == "required"
    elif isinstance(option.default, (int, str)):
        assert str(option.default) == written.strip("`")
    elif isinstance(option.envvar, str):
        assert f"${option.envvar}" == written.strip("`")


def test_named_objects_exist(page):
    """A dotted name of this package in backticks can be imported."""
    text = page.read_text(encoding="utf-8")
    missing = [name for name in words(text) if _is_dotted(name) and not _exists(name)]

    assert [] == missing


def _is_dotted(name: str) -> bool:
    return re.fullmatch(r"serverless_flags(\.\w+)+", name) is not None


def _exists(name: str) -> bool:
    """Whether the longest importable part of a name has the rest as attributes."""
    found: object = serverless_flags
    module = "serverless_flags"
    for part in name.split(".")[1:]:
        module += f".{part}"
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(module)
            except ImportError:
                return False
    return True
