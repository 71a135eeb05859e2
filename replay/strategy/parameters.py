"""The parameters a strategy declares: found from its annotations, read from text, checked against their types."""

from __future__ import annotations

import inspect
import math
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from replay.errors import InvalidParameter
from replay.strategy import Strategy

REQUIRED: Final = inspect.Parameter.empty
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_PLAIN: Final = (bool, int, float, str)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name, its type as annotated, and its default (:data:`REQUIRED` if it has none)."""

    name: str
    kind: Any
    default: Any

    @property
    def kind_text(self) -> str:
        """The type as its author would write it."""
        choices = _choices(self.kind)
        if choices is not None:
            return "|".join(map(str, choices))
        return getattr(self.kind, "__name__", str(self.kind)) if isinstance(self.kind, type) else str(self.kind)


def parameters_of(target: Any) -> tuple[Parameter, ...]:
    """The parameters of a strategy class, or of a function after its first ``given`` arguments, in their order.

    Raises :class:`~replay.errors.InvalidParameter` for a declaration that cannot be used.
    """
    found = _of_class(target) if isinstance(target, type) else _of_function(target, 1)
    return tuple(_declared(target, *each) for each in found)


def parameters_of_snapshot(target: Callable[..., Any]) -> tuple[Parameter, ...]:
    """The parameters of a function ``strategy(at, snapshot, ...)`` after those two."""
    return tuple(_declared(target, *each) for each in _of_function(target, 2))


def _of_class(target: type) -> list[tuple[str, Any, Any]]:
    hints: dict[str, Any] = {}
    for base in reversed(target.__mro__):
        if base not in Strategy.__mro__:
            own = {name: kind for name, kind in inspect.get_annotations(base).items() if not name.startswith("_")}
            hints |= _evaluated(own, vars(sys.modules[base.__module__]) | vars(base), target.__name__)
    return [
        (name, kind, getattr(target, name, REQUIRED))
        for name, kind in hints.items()
        if typing.get_origin(kind) is not typing.ClassVar and kind is not typing.ClassVar and name != "carries_state"
    ]


def _of_function(target: Callable[..., Any], given: int) -> list[tuple[str, Any, Any]]:
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError) as error:
        raise InvalidParameter(f"{_name(target)}: its signature cannot be read: {error}") from error
    every = list(signature.parameters.values())
    positional = [p for p in every if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    if len(positional) < given and not any(p.kind == p.VAR_POSITIONAL for p in positional):
        asked = "ctx" if given == 1 else "at, snapshot"
        raise InvalidParameter(f"{_name(target)} must take ({asked}), and takes {signature}")
    own = {p.name: p for p in every[given:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    kinds = {
        name: type(p.default) if p.annotation is p.empty and p.default is not p.empty else p.annotation
        for name, p in own.items()
    }
    kinds = _evaluated(kinds, getattr(target, "__globals__", {}), _name(target))
    return [(name, kinds[name], p.default) for name, p in own.items()]


def _evaluated(kinds: dict[str, Any], names: Mapping[str, Any], of: str) -> dict[str, Any]:
    """Annotations that may be text as the types they name; only these, for others may be there for a checker alone."""
    try:
        return typing.get_type_hints(type(of, (), {"__annotations__": kinds}), dict(names))
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise InvalidParameter(f"{of}: the type of a parameter cannot be read: {error}") from error


def _declared(target: Any, name: str, kind: Any, default: Any) -> Parameter:
    if kind is inspect.Parameter.empty or not _known(kind):
        raise InvalidParameter(
            f"{_name(target)}: parameter {name} needs a type: bool, int, float, str, Literal[...], or one | None"
        )
    parameter = Parameter(name, kind, default)
    if default is not REQUIRED:
        check(parameter, default, f"{_name(target)}: the default of ")
    return parameter


def _known(kind: Any) -> bool:
    options = _options(kind)
    return all(each in _PLAIN or each is type(None) or _choices(each) is not None for each in options)


def _options(kind: Any) -> tuple[Any, ...]:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return typing.get_args(kind)
    return (kind,)


def _choices(kind: Any) -> tuple[Any, ...] | None:
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else None


def _name(target: Any) -> str:
    return str(getattr(target, "__name__", target))


def settle(parameters: tuple[Parameter, ...], given: Mapping[str, Any], of: str) -> dict[str, Any]:
    """Every parameter's value: as given (text is read), else its default.

    Raises :class:`~replay.errors.InvalidParameter` for a name that is not declared, a value that does not fit its
    type, and a parameter without value or default.
    """
    names = [parameter.name for parameter in parameters]
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise InvalidParameter(f"{of} has no parameter {unknown[0]!r}; it has {', '.join(names) or 'none'}")
    values: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.name in given:
            values[parameter.name] = check(parameter, given[parameter.name], f"{of}: ")
        elif parameter.default is REQUIRED:
            raise InvalidParameter(f"{of} needs a value for {parameter.name} ({parameter.kind_text})")
        else:
            values[parameter.name] = parameter.default
    return values


def check(parameter: Parameter, value: Any, where: str) -> Any:
    """A value as its parameter's type; text is read where the type is no text."""
    for kind in sorted(_options(parameter.kind), key=lambda each: each is not type(None)):
        fits, read = _read(kind, value)
        if fits:
            return read
    raise InvalidParameter(f"{where}parameter {parameter.name} is {value!r}, which is not {parameter.kind_text}")


def _read(kind: Any, value: Any) -> tuple[bool, Any]:
    """Whether a value is of a type, or text that can be read as one, and the value."""
    choices = _choices(kind)
    if choices is not None:
        found = [each for each in choices if each == value or (isinstance(value, str) and str(each) == value)]
        return bool(found), found[0] if found else None
    if kind is type(None):
        return value is None or (isinstance(value, str) and value.lower() == "none"), None
    if kind is str:
        return isinstance(value, str), value
    if kind is bool:
        text = str(value).lower() if isinstance(value, bool | str) else ""
        return text in _TRUE + _FALSE, text in _TRUE
    return _number(kind, value)


def _number(kind: Any, value: Any) -> tuple[bool, Any]:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False, None
    if kind is int and isinstance(value, float):
        return False, None
    try:
        read = kind(value)
    except ValueError:
        return False, None
    return isinstance(read, int) or math.isfinite(read), read
