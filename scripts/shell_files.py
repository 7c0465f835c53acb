"""``python -m scripts.shell_files``: writes the manual pages and shell completions that the wheel installs.

They are made of the parsers. A test compares them, so that none is out of date.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from rawtp.cli.completions import script
from rawtp.cli.interface import commands

if TYPE_CHECKING:
    from rawtp.cli.interface import Command, Option

SHARE = Path(__file__).parents[1] / "packaging" / "wheel" / "data" / "share"


def files() -> dict[str, str]:
    """The files, by their paths below ``share``."""
    found = commands()
    return {
        "bash-completion/completions/rawtp": script("bash"),
        "zsh/site-functions/_rawtp": script("zsh"),
        "fish/vendor_completions.d/rawtp.fish": script("fish"),
        **{f"man/man1/{_page(one.name)}.1": manual(one, found) for one in found},
    }


def manual(command: Command, others: list[Command]) -> str:
    """The manual page of a subcommand, in the man(7) language."""
    page = _page(command.name)
    lines = [
        f'.TH {page.upper()} 1 "" rawtp "User Commands"',
        ".SH NAME",
        f"{page} \\- {_text(command.description.rstrip('.'))}",
        ".SH SYNOPSIS",
        *(line for usage in _usages(command) for line in (f".B {_text(usage)}", ".br")),
    ]
    group = None
    for option in sorted(command.options, key=lambda one: _groups(command).index(one.group)):
        if option.group != group:
            group = option.group
            lines.append(f".SH {_text(group.upper())}")
        lines += [".TP", _option(option), _text(option.help) or "\\&"]
    lines += _epilog(command.epilog)
    also = [f".BR {_page(one.name)} (1)" for one in others if one.name != command.name]
    return "\n".join([*lines, ".SH SEE ALSO", *(f"{line}," for line in also[:-1]), also[-1], ""])


def _page(name: str) -> str:
    return f"rawtp-{name}" if name else "rawtp"


def _usages(command: Command) -> list[str]:
    return [part.strip() for part in re.split(r"(?= rawtp )", command.usage)]


def _groups(command: Command) -> list[str]:
    return list(dict.fromkeys(option.group for option in command.options))


def _option(option: Option) -> str:
    if not option.names:
        return f"\\fI{_text(option.metavar or '')}\\fR"
    names = []
    for name in option.names:
        value = ""
        if option.metavar:
            value = f"{'=' if name.startswith('--') else ' '}\\fI{_text(option.metavar)}\\fR"
        names.append(f"\\fB{_text(name)}\\fR{value}")
    return ", ".join(names)


def _epilog(epilog: str) -> list[str]:
    about, _, examples = epilog.partition("examples:\n")
    lines = [".SH NOTES", ".nf", *map(_text, about.strip().splitlines()), ".fi"] if about.strip() else []
    if examples:
        lines.append(".SH EXAMPLES")
        for line in examples.splitlines():
            called = line.startswith("  ") and not line.startswith("      ")
            lines += [".TP", f"\\fB{_text(line.strip())}\\fR"] if called else [_text(line.strip())]
    return lines


def _text(text: str) -> str:
    """Text that troff shows as it is."""
    shown = (
        text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("~", "\\(ti")
    )
    shown = shown.replace("^", "\\(ha").replace('"', "\\(dq")
    return f"\\&{shown}" if shown.startswith(".") else shown


def main() -> None:
    """Write them, and remove pages of subcommands that are gone."""
    wanted = files()
    for path in SHARE.rglob("*"):
        if path.is_file() and str(path.relative_to(SHARE)) not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = SHARE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
