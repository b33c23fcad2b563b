"""Find the adapters, elect one platform, and call hooks so that no fault gets out."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import pluggy

from serverless_flags._report import Reporter, logger
from serverless_flags.exceptions import PluginError
from serverless_flags.hookspecs import PROJECT, HookSpecs
from serverless_flags.platform import NOTHING_KNOWN, Invocation, Local, Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from serverless_flags._config import Settings
    from serverless_flags._session import FlagSession

MARKERS = (
    (("AWS_LAMBDA_FUNCTION_NAME",), "aws_lambda"),
    (("FUNCTION_TARGET",), "gcp_cloud_functions"),
    (("FUNCTION_NAME", "GCP_PROJECT"), "gcp_cloud_functions"),
    (("FUNCTIONS_WORKER_RUNTIME",), "azure_functions"),
)
"""Environment variables that name a known platform. Its adapter is imported by name:
a scan of entry points costs a cold start 40 ms and 4 MB."""


class _Bound(NamedTuple):
    """One implementation of one hook, ready to be called without pluggy's loop."""

    plugin: str
    call: Callable[..., Any]
    arguments: tuple[str, ...]

    def __call__(self, **given: Any) -> Any:
        return self.call(*[given[name] for name in self.arguments])


class Plugins:
    """The hooks of one session: those of the platform and of its observers."""

    def __init__(
        self, platform: Platform, observers: Iterable[tuple[str, Any]]
    ) -> None:
        self.platform = platform
        self._reporter = Reporter()
        manager = _manager()
        for name, plugin in observers:
            if not manager.is_registered(plugin):  # given, and found again
                _register(manager, plugin, name)
        _register(manager, platform, platform.name)
        self._hooks = {name: _bound(manager, name) for name in _hook_names()}
        self._read = _quick(self._hooks["read_invocation"], "args", "kwargs")
        self._begin = _quick(self._hooks["begin_invocation"], "invocation")
        self._end = _quick(self._hooks["end_invocation"], "invocation")

    def prepare_function(self, func: object, wrapper: Callable[..., Any]) -> None:
        """Let the platform see what is wrapped; its TypeError is for the user."""
        for hook in self._hooks["prepare_function"]:
            try:
                hook(func=func, wrapper=wrapper)
            except TypeError:
                raise
            except Exception:  # noqa: BLE001  reason: a plugin's fault stays here
                self._fault(hook, "prepare_function")

    def connect_instance(self, session: FlagSession, at: str) -> tuple[bool, str]:
        """Connect the platform's signals; will the end be heard, and why not?"""
        given = {"session": session, "platform": self.platform, "at": at}
        answers = self._call_all("connect_instance", **given)
        whys = [answer for answer in answers if isinstance(answer, str)]
        return any(answer is True for answer in answers), "; ".join(whys)

    def read_invocation(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Invocation:
        """Return what the platform knows of an invocation, or an empty one."""
        for read, hook in self._read:
            try:
                invocation = read(args, kwargs)
            except Exception:  # noqa: BLE001  reason: a plugin's fault stays here
                self._fault(hook, "read_invocation")
                continue
            if isinstance(invocation, Invocation):
                return invocation
        return NOTHING_KNOWN

    def begin_invocation(self, invocation: Invocation) -> None:
        """Tell all that an invocation begins."""
        for begin, hook in self._begin:
            try:
                begin(invocation)
            except Exception:  # noqa: BLE001  reason: a plugin's fault stays here
                self._fault(hook, "begin_invocation")

    def wait_after_response(
        self, invocation: Invocation, wait: Callable[[float], bool]
    ) -> bool:
        """Whether the platform takes over the waiting."""
        given = {"invocation": invocation, "wait": wait}
        return any(a is True for a in self._call_all("wait_after_response", **given))

    def end_invocation(self, invocation: Invocation) -> None:
        """Tell all that an invocation ends."""
        for end, hook in self._end:
            try:
                end(invocation)
            except Exception:  # noqa: BLE001  reason: a plugin's fault stays here
                self._fault(hook, "end_invocation")

    def after_refresh(self, session: FlagSession, outcome: str, seconds: float) -> None:
        """Tell the observers what a refresh came to."""
        given = {"session": session, "outcome": outcome, "seconds": seconds}
        self._call_all("after_refresh", **given)

    def after_flush(self, session: FlagSession, outcome: str, seconds: float) -> None:
        """Tell the observers what a flush came to."""
        given = {"session": session, "outcome": outcome, "seconds": seconds}
        self._call_all("after_flush", **given)

    def disconnect_instance(self, session: FlagSession, reason: str) -> None:
        """Tell all that the session has sent its last."""
        self._call_all("disconnect_instance", session=session, reason=reason)

    def _call_all(self, name: str, **given: Any) -> list[Any]:
        answers = []
        for hook in self._hooks[name]:
            try:
                answers.append(hook(**given))
            except Exception:  # noqa: BLE001  reason: a plugin's fault stays here
                self._fault(hook, name)
        return answers

    def _fault(self, hook: _Bound, name: str) -> None:
        """Log a plugin's fault, the first time with its traceback."""
        trouble = f"{hook.plugin}.{name}"
        message = "plugin %r failed in %s; going on without it"
        self._reporter.warn(trouble, message, hook.plugin, name, exc_info=True)


def discover(settings: Settings, environ: Mapping[str, str] | None = None) -> Plugins:
    """
    Find the plugins and elect the platform of this process.

    Plugins given in the settings are asked first, then the adapter of a known platform
    by name, then every entry point of the group ``serverless_flags``.

    Raises:
        PluginError: when a plugin given in the settings cannot be used.
    """
    environ = os.environ if environ is None else environ
    given = [_given(plugin) for plugin in settings.plugins]
    wanted = settings.platform
    platform = _elect(given, environ, wanted)
    observers = [
        (name, plugin) for name, plugin in given if not _detectors(plugin, name)
    ]
    if platform is not None or wanted == Local.name:
        return Plugins(platform or Local(), observers)
    found = _usable(_marked(environ, wanted)) or _usable(_entry_points())
    platform = _elect(found, environ, wanted)
    observers += [
        (name, plugin) for name, plugin in found if not _detectors(plugin, name)
    ]
    if platform is None and wanted is not None:
        _warn_unrecognised(wanted)
    try:
        return Plugins(platform or Local(), observers)
    except PluginError as error:
        logger.warning("%s; going on without it", error)
        return Plugins(Local(), observers)


def _given(plugin: Any) -> tuple[str, Any]:
    if not isinstance(plugin, str):
        return getattr(plugin, "name", None) or type(plugin).__name__, plugin
    try:
        return plugin, importlib.import_module(plugin)
    except Exception as error:
        message = f"plugin {plugin!r} cannot be imported: {error}; is it installed?"
        raise PluginError(message) from error


def _marked(environ: Mapping[str, str], wanted: str | None) -> list[tuple[str, Any]]:
    """Return the adapter that the environment's markers name, if it is installed."""
    for variables, word in MARKERS:
        if wanted in {None, word} and all(map(environ.get, variables)):
            package = f"serverless_flags_{word}"
            try:
                return [(word, importlib.import_module(package))]
            except Exception as error:  # noqa: BLE001  reason: a plugin's fault stays here
                if isinstance(error, ModuleNotFoundError) and error.name == package:
                    _warn_missing(word)
                else:
                    _warn_broken(word)
    return []


def _warn_missing(word: str) -> None:
    logger.warning(
        "this is %s and its adapter is not installed: flags will be read, but the end"
        " of the instance will not be heard and counts may be lost;"
        " pip install serverless-flags-%s",
        word,
        word.replace("_", "-"),
    )


def _entry_points() -> Iterable[tuple[str, Any]]:
    from importlib.metadata import entry_points  # 23 ms, only where no marker is set

    for point in entry_points(group=PROJECT):
        try:
            yield point.name, point.load()
        except Exception:  # noqa: BLE001  reason: a plugin's fault stays here
            _warn_broken(point.name)


def _warn_broken(name: str) -> None:
    logger.warning("plugin %r cannot be loaded", name, exc_info=True)


def _elect(
    plugins: Sequence[tuple[str, Any]], environ: Mapping[str, str], wanted: str | None
) -> Platform | None:
    """Ask each plugin whether this process is its own; the most specific one wins."""
    answers: list[Platform] = []
    for name, plugin in plugins:
        for hook in _detectors(plugin, name):
            try:
                answer = hook(environ=environ)
            except Exception:  # noqa: BLE001  reason: a plugin's fault stays here
                logger.warning(
                    "plugin %r failed in detect_platform", name, exc_info=True
                )
                continue
            if isinstance(answer, Platform) and wanted in {None, answer.name}:
                answers.append(answer)
    if len(answers) > 1:
        names = ", ".join(sorted(answer.name for answer in answers))
        logger.warning(
            "several adapters recognise this process: %s; the most specific one wins,"
            " SERVERLESS_FLAGS_PLATFORM decides otherwise",
            names,
        )
    return max(answers, key=lambda answer: answer.specificity, default=None)


def _detectors(plugin: Any, name: str) -> list[_Bound]:
    manager = _manager()
    _register(manager, plugin, name)
    return _bound(manager, "detect_platform")


def _usable(found: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Leave out what was found and does not fit; only what was given may raise."""
    usable = []
    for name, plugin in found:
        try:
            _detectors(plugin, name)
        except PluginError as error:
            logger.warning("%s; going on without it", error)
        else:
            usable.append((name, plugin))
    return usable


def _warn_unrecognised(wanted: str) -> None:
    logger.warning(
        "platform=%r: no installed adapter recognises this process as that;"
        " going on without one",
        wanted,
    )


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(HookSpecs)
    return manager


def _register(manager: pluggy.PluginManager, plugin: Any, name: str) -> None:
    while manager.has_plugin(name):
        name += "+"  # two observers of one class
    try:
        manager.register(plugin, name)
        manager.check_pending()
        for caller in manager.get_hookcallers(plugin) or ():
            _refuse_wrappers(caller)
    except Exception as error:
        message = f"plugin {name!r} does not fit the hook specification: {error}"
        raise PluginError(message) from error


def _refuse_wrappers(caller: pluggy.HookCaller) -> None:
    if any(impl.hookwrapper or impl.wrapper for impl in caller.get_hookimpls()):
        message = f"{caller.name} cannot be a hook wrapper"
        raise PluginError(message)


def _bound(manager: pluggy.PluginManager, hook: str) -> list[_Bound]:
    """Return a hook's implementations in calling order: the last registered first."""
    caller = getattr(manager.hook, hook)
    return [
        _Bound(impl.plugin_name, impl.function, tuple(impl.argnames))
        for impl in reversed(caller.get_hookimpls())
    ]


def _quick(
    hooks: Sequence[_Bound], *arguments: str
) -> list[tuple[Callable[..., Any], _Bound]]:
    """Bind hooks of the hot path so that they can be called by position."""
    return [
        (
            hook.call
            if hook.arguments == arguments
            else _by_position(hook, [arguments.index(name) for name in hook.arguments]),
            hook,
        )
        for hook in hooks
    ]


def _by_position(hook: _Bound, positions: Sequence[int]) -> Callable[..., Any]:
    if not positions:
        return lambda *_given: hook.call()
    return lambda *given: hook.call(*[given[position] for position in positions])


def _hook_names() -> list[str]:
    return [name for name in vars(HookSpecs) if not name.startswith("_")]
