"""Discover the plugins, and select the platform of this process."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from serverless_flags._log import logger
from serverless_flags._passing import let_pass, passes
from serverless_flags._plugins.binding import (
    hook_names,
    implementations,
    new_manager,
    register,
)
from serverless_flags._plugins.checks import correct_facts, kind, warn_about_unmarked
from serverless_flags._plugins.dispatch import Plugins
from serverless_flags.exceptions import PluginError
from serverless_flags.hookspecs import PROJECT
from serverless_flags.platform import Local, Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from serverless_flags._plugins.binding import Bound
    from serverless_flags._settings import Settings

MARKERS = (
    (("AWS_LAMBDA_FUNCTION_NAME",), "aws_lambda"),
    (("FUNCTION_TARGET",), "gcp_cloud_functions"),
    (("FUNCTION_NAME", "GCP_PROJECT"), "gcp_cloud_functions"),
    (("FUNCTIONS_WORKER_RUNTIME",), "azure_functions"),
)
"""Environment variables that identify a known platform. Its adapter is imported by
name, because a scan of entry points costs a cold start 40 ms and 4 MB."""


class _Candidate:
    """A plugin, with its implementations of ``detect_platform``."""

    __slots__ = ("detectors", "name", "plugin")

    def __init__(self, name: str, plugin: Any, detectors: list[Bound]) -> None:
        self.name, self.plugin, self.detectors = name, plugin, detectors


def discover(
    settings: Settings,
    session: Callable[[], Any],
    environ: Mapping[str, str] | None = None,
) -> Plugins:
    """
    Discover the plugins, and select the platform of this process.

    Asks the plugins of the settings first, then the adapter of a known platform, then
    every entry point of the group ``serverless_flags``.

    Args:
        settings: of the session.
        session: returns the session for hooks; None once it is garbage-collected.
        environ: environment variables; default: those of the process.

    Raises:
        PluginError: when a plugin given in the settings cannot be used.
    """
    environ = os.environ if environ is None else environ
    given = [_candidate(*_given(plugin)) for plugin in settings.plugins]
    wanted = settings.platform
    platform = _select_platform(given, environ, wanted)
    observers = _observers(given)
    if platform is not None or wanted == Local.name:
        return _plugins_of(platform or Local(), observers, session)
    found = _usable(_marked(environ, wanted)) or _usable(_entry_points())
    platform = _select_platform(found, environ, wanted)
    observers += _observers(found)
    if platform is None and wanted is not None:
        _warn_unrecognised(wanted, [candidate.name for candidate in given + found])
    return _plugins_or_local(platform or Local(), observers, session)


def _plugins_or_local(
    platform: Platform, observers: list[tuple[str, Any]], session: Callable[[], Any]
) -> Plugins:
    """Return the session's hooks; without the platform if that is invalid."""
    try:
        return _plugins_of(platform, observers, session)
    except PluginError as error:
        logger.warning("%s; going on without it", error)
        return _plugins_of(Local(), observers, session)


def _plugins_of(
    platform: Platform,
    observers: Iterable[tuple[str, Any]],
    session: Callable[[], Any],
) -> Plugins:
    """Return the session's hooks; let the platform's own exceptions propagate."""
    let_pass(platform.passing_exceptions)
    return Plugins(platform, observers, session)


def _given(plugin: Any) -> tuple[str, Any]:
    """Return the name and the object of a plugin; import it if it is a dotted name."""
    if not isinstance(plugin, str):
        name = getattr(plugin, "__name__" if isinstance(plugin, type) else "name", None)
        return name if isinstance(name, str) else type(plugin).__name__, plugin
    try:
        return plugin, importlib.import_module(plugin)
    except Exception as error:
        if passes(error):
            raise
        message = f"plugin {plugin!r} cannot be imported: {error}; is it installed?"
        raise PluginError(message) from error


def _marked(environ: Mapping[str, str], wanted: str | None) -> list[tuple[str, Any]]:
    """Return the adapter for the markers in the environment, if it is installed."""
    for variables, name in MARKERS:
        if wanted in {None, name} and all(map(environ.get, variables)):
            package = f"serverless_flags_{name}"
            try:
                return [(name, importlib.import_module(package))]
            except Exception as error:
                if passes(error):
                    raise
                if isinstance(error, ModuleNotFoundError) and error.name == package:
                    _warn_missing(name)
                else:
                    _warn_broken(name)
    return []


def _warn_missing(name: str) -> None:
    logger.warning(
        "this is %s and its adapter is not installed: flags are served, but shutdown"
        " notices are not received and counts may be lost;"
        " pip install serverless-flags-%s",
        name,
        name.replace("_", "-"),
    )


def _entry_points() -> Iterable[tuple[str, Any]]:
    from importlib.metadata import entry_points  # 23 ms, only where no marker is set

    for point in entry_points(group=PROJECT):
        try:
            yield point.name, point.load()
        except Exception as error:
            if passes(error):
                raise
            _warn_broken(point.name)


def _warn_broken(name: str) -> None:
    logger.warning("plugin %r cannot be loaded", name, exc_info=True)


def _select_platform(
    plugins: Sequence[_Candidate], environ: Mapping[str, str], wanted: str | None
) -> Platform | None:
    """Ask each plugin for its platform; return the most specific one."""
    answers = [
        (platform, candidate.plugin)
        for candidate in plugins
        for platform in _ask(candidate, environ)
        if wanted in {None, platform.name}
    ]
    if len(answers) > 1:
        _warn_of_several(answers)
    platforms = (platform for platform, _ in answers)
    return max(platforms, key=lambda platform: platform.specificity, default=None)


def _ask(candidate: _Candidate, environ: Mapping[str, str]) -> Iterator[Platform]:
    """Yield the platforms that a plugin detects."""
    for hook in candidate.detectors:
        answer = _detect(hook, environ, candidate.name)
        if isinstance(answer, Platform):
            if answer is not candidate.plugin:  # else it has been checked
                warn_about_unmarked(answer.name, answer, hook_names())
            yield answer
        elif answer is not None and answer is not False:
            logger.warning(
                "plugin %r returned %s from detect_platform, expected an instance of"
                " serverless_flags.Platform, or None; going on without it",
                candidate.name,
                kind(answer),
            )


def _detect(hook: Bound, environ: Mapping[str, str], plugin: str) -> Any:
    """
    Ask a plugin for its platform, and once more if it fails.

    The exception may be one that the runtime raised into this thread, not the plugin's
    fault; giving up would leave the session without its adapter for good.
    """
    for last in (False, True):
        try:
            return _detect_once(hook, environ, plugin)
        except Exception as error:
            if passes(error):
                raise
            if last:
                message = "plugin %r failed in detect_platform"
                logger.warning(message, plugin, exc_info=True)
    return None


def _detect_once(hook: Bound, environ: Mapping[str, str], plugin: str) -> Any:
    answer = hook(environ=environ)
    if isinstance(answer, Platform):
        correct_facts(answer, plugin)
    return answer


def _warn_of_several(answers: Sequence[tuple[Platform, Any]]) -> None:
    names = sorted(platform.name for platform, _ in answers)
    message = (
        "several adapters recognise this process: %s; the most specific one wins,"
        " SERVERLESS_FLAGS_PLATFORM decides otherwise"
    )
    if len(set(names)) < len(names):
        from serverless_flags._plugins.mistakes import source  # only after a mistake

        names = sorted(f"{each.name} ({source(plugin)})" for each, plugin in answers)
        message = (
            "several adapters of one name recognise this process: %s; the most specific"
            " one wins; uninstall the others"
        )
    logger.warning(message, ", ".join(names))


def _candidate(name: str, plugin: Any) -> _Candidate:
    """Check a plugin. Raises PluginError when it does not match the specification."""
    manager = new_manager()
    register(manager, plugin, name)
    detectors = implementations(manager, "detect_platform")
    if warn_about_unmarked(name, plugin, hook_names()):
        pass
    elif not manager.get_hookcallers(plugin):
        logger.warning(
            "plugin %r has no hook: mark its functions with serverless_flags.hookimpl",
            name,
        )
    elif isinstance(plugin, Platform) and not detectors:
        logger.warning(
            "plugin %r is a Platform and only observes: give an object whose"
            " detect_platform returns it",
            name,
        )
    return _Candidate(name, plugin, detectors)


def _observers(plugins: Iterable[_Candidate]) -> list[tuple[str, Any]]:
    """Return the plugins without ``detect_platform``."""
    return [(each.name, each.plugin) for each in plugins if not each.detectors]


def _usable(found: Iterable[tuple[str, Any]]) -> list[_Candidate]:
    """Check discovered plugins; leave out each misfit with a warning."""
    usable = []
    for name, plugin in found:
        try:
            usable.append(_candidate(name, plugin))
        except PluginError as error:
            logger.warning("%s; going on without it", error)
    return usable


def _warn_unrecognised(wanted: str, asked: Iterable[str]) -> None:
    from serverless_flags._plugins.mistakes import suggestion  # only after a mistake

    known = [Local.name, *(name for _, name in MARKERS), *asked]
    logger.warning(
        "platform=%r: no installed adapter recognises this process as that;"
        " going on without one%s",
        wanted,
        suggestion(wanted, known),
    )
