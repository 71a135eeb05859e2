"""``replay strategies``: what can be run, and its parameters."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import click

from replay.cli import options, output

if TYPE_CHECKING:
    from replay.strategy.loading import Loaded
    from replay.strategy.parameters import Parameter

FORMATS = ("table", "json")


@click.command()
@click.argument("name", required=False)
@options.output_format(*FORMATS)
@options.out
def strategies(name: str | None, form: str | None, out_path: pathlib.Path | None) -> None:
    """List the strategies that ship with a sentence and their parameters, or show all of one.

    NAME is one of these, package.module:Name or path/to/file.py:Name, as `replay run` takes it.

    \b
    Example:
      replay strategies
      replay strategies pin_drift
      replay strategies my_strategy.py:Breakout --format json
    """
    from replay.strategy.loading import load, shipped

    found = [load(each) for each in ([name] if name else shipped())]
    if output.choose_format(form, out_path, FORMATS, "json") == "json":
        import orjson

        output.emit(orjson.dumps([described(each) for each in found]), out_path)
    elif name:
        output.emit(page(found[0], name).encode(), out_path)
    else:
        output.emit(listing(found).encode(), out_path)


def described(strategy: Loaded) -> dict[str, Any]:
    """A strategy as plain values; a parameter without a ``default`` must be given."""
    return {
        "name": strategy.name,
        "reference": strategy.reference,
        "sentence": sentence(strategy),
        "text": text(strategy),
        "carries_state": strategy.carries_state,
        "parameters": [_described(each) for each in strategy.parameters],
    }


def _described(parameter: Parameter) -> dict[str, Any]:
    from replay.strategy.parameters import REQUIRED

    told = {"name": parameter.name, "type": parameter.kind_text}
    return told if parameter.default is REQUIRED else told | {"default": parameter.default}


def text(strategy: Loaded) -> str:
    """What a strategy's own docstring says, nothing of its base's."""
    import inspect

    return inspect.cleandoc(strategy.target.__doc__ or "")


def sentence(strategy: Loaded) -> str:
    """The first sentence of a strategy's docstring, on one line."""
    paragraph = " ".join(text(strategy).split("\n\n", 1)[0].split())
    return paragraph.split(". ", 1)[0].removesuffix(".") + "." if paragraph else ""


def _declared(parameter: Parameter) -> str:
    from replay.strategy.parameters import REQUIRED

    told = f"{parameter.name}: {parameter.kind_text}"
    return told if parameter.default is REQUIRED else f"{told} = {parameter.default}"


def listing(found: list[Loaded]) -> str:
    """Each strategy's name beside its sentence and its parameters."""
    wide = max(len(each.name) for each in found)
    lines = []
    for strategy in found:
        told = [sentence(strategy), *map(_declared, strategy.parameters)]
        for i, each in enumerate(told):
            lines.append(_wrapped(each, f"{strategy.name if i == 0 else '':{wide}}  ", wide + (2 if i == 0 else 4)))
    return "\n".join(lines) + "\n"


def page(strategy: Loaded, reference: str) -> str:
    """One strategy: what it says of itself, its parameters, and how to run it."""
    lines = [strategy.name, "", *([text(strategy), ""] if text(strategy) else [])]
    lines += [_wrapped(_declared(each), "  ", 4) for each in strategy.parameters] or ["  no parameters"]
    given = next((f" --param {each.name}={each.default}" for each in strategy.parameters), "")
    return "\n".join([*lines, "", f"  replay run {reference} --lake LAKE --symbol SYMBOL{given}"]) + "\n"


def _wrapped(told: str, first: str, indent: int) -> str:
    import textwrap

    width = min(output.terminal_width(), 100)
    return textwrap.fill(told, width, initial_indent=first, subsequent_indent=" " * indent, break_on_hyphens=False)
