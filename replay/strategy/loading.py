"""Strategies by reference: a shipped name, ``package.module:Name``, ``path/to/file.py:Name``, or the object itself."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import inspect
import pathlib
import pkgutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from replay.errors import InvalidParameter, NoStrikeData, UnknownStrategy
from replay.strategy import Context, Strategy
from replay.strategy.parameters import Parameter, parameters_of, parameters_of_snapshot, settle

STYLES: Final = ("context", "snapshot")
SHIPPED: Final = "replay.strategies"
_FROM_FILE: Final = "replay_strategy_"


@dataclass(frozen=True)
class Loaded:
    """A strategy that can be made: a class, or a function called at each tick.

    Attributes
    ----------
    name
        As runs and messages call it.
    reference
        How another process finds it again; ``None`` for what lives in no file, such as a notebook's cell.
    target
        The class or function.
    style
        ``context``: ``function(ctx)``; ``snapshot``: ``function(at, body)`` on the heatmap's body.
    parameters
        What a run may set.
    source
        SHA-256 of the file it is written in, hexadecimal; ``None`` where there is none.
    """

    name: str
    reference: str | None
    target: Any
    style: str
    parameters: tuple[Parameter, ...]
    source: str | None

    @property
    def carries_state(self) -> bool:
        """Whether it goes through all sessions in order with one state."""
        return bool(getattr(self.target, "carries_state", False))

    def settle(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter's value; see :func:`replay.strategy.parameters.settle`."""
        return settle(self.parameters, given, f"strategy {self.name}")

    def make(self, values: Mapping[str, Any], request: Mapping[str, Any]) -> Strategy:
        """A fresh instance with these parameters; ``request`` is the heatmap's for the style ``snapshot``."""
        if self.style == "snapshot":
            return _OnSnapshots(self.target, values, request)
        if not isinstance(self.target, type):
            return _OnTicks(self.target, values)
        instance: Strategy = self.target()
        for name, value in values.items():
            setattr(instance, name, value)
        return instance


class _OnTicks(Strategy):
    """A plain function of the context."""

    def __init__(self, function: Callable[..., Any], values: Mapping[str, Any]) -> None:
        self._function = function
        self._values = dict(values)
        if not values:
            self.on_tick = function  # type: ignore[method-assign]  # one call less at each tick

    def on_tick(self, ctx: Context) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self._function(ctx, **self._values)
        return found


class _OnSnapshots(Strategy):
    """A function ``strategy(at, snapshot)``: New York wall clock as text, and the heatmap's body as the wire has it."""

    def __init__(self, function: Callable[..., Any], values: Mapping[str, Any], request: Mapping[str, Any]) -> None:
        self._function = function
        self._values = dict(values)
        self._request = dict(request)

    def on_tick(self, ctx: Context) -> Mapping[str, Any] | None:
        try:
            body = ctx.heatmap(**self._request).to_dict()
        except NoStrikeData as error:
            ctx.log(f"not called: {error}")
            return None
        found = self._function(f"{ctx.now:%Y-%m-%dT%H:%M:%S}", body, **self._values)
        return found if found is None or isinstance(found, Mapping) else {"output": found}


def load(strategy: Any, style: str = "context") -> Loaded:
    """A strategy from a reference or an object.

    Parameters
    ----------
    strategy
        ``levels`` (one that ships), ``package.module:Name``, ``path/to/file.py:Name``, a subclass of
        :class:`~replay.strategy.Strategy`, or a function.
    style
        ``context`` or ``snapshot``; see :class:`Loaded`.

    Raises
    ------
    UnknownStrategy
        If there is none, listing what there is, or its file cannot be loaded.
    InvalidParameter
        If its parameters are declared in a way that cannot be used.
    """
    if style not in STYLES:
        raise InvalidParameter(f"style {style!r} is not one of {', '.join(STYLES)}")
    if isinstance(strategy, Loaded):
        return strategy
    reference = None
    if isinstance(strategy, str):
        reference, strategy, name = _find(strategy)
    else:
        name = _name_of(strategy)
        if isinstance(strategy, Strategy):
            raise UnknownStrategy(f"{type(strategy).__name__} is given as an instance; give the class, and params")
    if isinstance(strategy, type) and not issubclass(strategy, Strategy):
        raise UnknownStrategy(f"{name} is a class, but not a replay.Strategy; derive it from that")
    if not callable(strategy):
        raise UnknownStrategy(f"{name} is a {type(strategy).__name__}; a strategy is a class or a function")
    if style == "snapshot" and isinstance(strategy, type):
        raise UnknownStrategy(f"{name} is a class; the style 'snapshot' takes a function (at, snapshot)")
    find = parameters_of if style == "context" else parameters_of_snapshot
    file = _file_of(strategy)
    if reference is None and "." not in name:
        reference = _reference_of(strategy, file, name)
    source = hashlib.sha256(file.read_bytes()).hexdigest() if file is not None else None
    return Loaded(name, reference, strategy, style, find(strategy), source)


def _name_of(target: Any) -> str:
    """What a class, a function or another callable is called: the same in every process."""
    while isinstance(target, functools.partial):
        target = target.func
    return str(getattr(target, "__qualname__", type(target).__qualname__))


def _reference_of(target: Any, file: pathlib.Path | None, name: str) -> str | None:
    """How another process finds an object: by its module where that can be imported, else by its file."""
    module = getattr(target, "__module__", "__main__")
    spec = getattr(sys.modules.get(module), "__spec__", None)
    if module != "__main__" and spec is not None and spec.name == module and not module.startswith(_FROM_FILE):
        return f"{module}:{name}"
    return None if file is None else f"{file}:{name}"


def shipped() -> list[str]:
    """The names of the strategies that ship, sorted."""
    package = importlib.import_module(SHIPPED)
    return sorted(each.name for each in pkgutil.iter_modules(package.__path__))


def _find(reference: str) -> tuple[str, Any, str]:
    """What a reference names: the reference that another process understands, the object, and its name."""
    place, colon, name = reference.rpartition(":")
    if not colon or (sys.platform == "win32" and len(place) == 1):
        place, name = reference, ""
    if not colon and place in shipped():
        module = importlib.import_module(f"{SHIPPED}.{place}")
        target = _only_strategy(module, place)
        return reference, target, place
    if place.endswith(".py") or "/" in place:
        module = _from_file(pathlib.Path(place))
        place = str(pathlib.Path(place).resolve())
    elif colon:
        module = _from_package(place)
    else:
        raise UnknownStrategy(
            f"no strategy {reference!r}; there ship {', '.join(shipped())}; "
            "your own are package.module:Name or path/to/file.py:Name"
        )
    target = getattr(module, name, None) if name else _only_strategy(module, reference)
    if target is None:
        raise UnknownStrategy(f"{place} has no {name!r}; it has {', '.join(_candidates(module)) or 'no strategy'}")
    name = name or target.__name__
    return f"{place}:{name}", target, name


def _only_strategy(module: ModuleType, reference: str) -> Any:
    found = _candidates(module)
    classes = [name for name in found if isinstance(getattr(module, name), type)]
    if len(classes) == 1 or len(found) == 1:
        return getattr(module, (classes or found)[0])
    raise UnknownStrategy(f"{reference} names no strategy; write {reference}:NAME with one of {', '.join(found)}")


def _candidates(module: ModuleType) -> list[str]:
    """The strategies that a module defines itself: subclasses, and functions without a leading underscore."""
    return [
        name
        for name, each in vars(module).items()
        if not name.startswith("_")
        and getattr(each, "__module__", None) == module.__name__
        and (inspect.isfunction(each) or (isinstance(each, type) and issubclass(each, Strategy)))
    ]


def _from_file(path: pathlib.Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise UnknownStrategy(f"{path} is no file")
    name = f"{_FROM_FILE}{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UnknownStrategy(f"{path} is no Python file")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # so that it may import what lies beside it
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UnknownStrategy(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def _from_package(name: str) -> ModuleType:
    if str(pathlib.Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.append(str(pathlib.Path.cwd()))
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise UnknownStrategy(f"module {name} cannot be loaded: {type(error).__name__}: {error}") from error


def _file_of(target: Any) -> pathlib.Path | None:
    try:
        found = inspect.getsourcefile(target)
    except TypeError:
        return None
    path = pathlib.Path(found) if found else None
    return path if path is not None and path.is_file() else None
