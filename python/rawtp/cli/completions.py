"""``rawtp completions``: what shells complete, made of the parsers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rawtp.cli import stderr
from rawtp.cli.interface import commands
from rawtp.cli.parser import Parser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rawtp.cli.interface import Command, Option

SHELLS = ("bash", "zsh", "fish")
_EPILOG = """\
A wheel that is installed into a system's or a user's prefix has these files
where shells look for them: this is for virtual environments.

examples:
  rawtp completions bash > ~/.local/share/bash-completion/completions/rawtp
      for bash
  rawtp completions zsh > ~/.zfunc/_rawtp
      for zsh, with ~/.zfunc in its fpath
  rawtp completions fish > ~/.config/fish/completions/rawtp.fish
      for fish
"""
# What stands for a file, by the name of the value.
_FILES = ("FILE", "PATH", "DIR", "FORMAT[=FILE]", "PATTERN", "SOCKET")
_USERS = ("USER", "USERS")
_PIDS = ("PID", "PIDS")


def add_parser() -> Parser:
    """Make the parser of ``completions``, which is the first of the arguments."""
    parser = Parser(
        usage="%(prog)s completions [OPTION]... bash|zsh|fish",
        description="Print what a shell needs to complete subcommands, options and their values.",
        epilog=_EPILOG,
    )
    parser.add_argument("command", choices=("completions",), help=argparse.SUPPRESS)
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Print it; the exit code."""
    args = add_parser().parse_args(arguments)
    return stderr.show(script(args.shell))


def script(shell: str) -> str:
    """The file for a shell."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands())


def _kind(option: Option) -> str:
    """What the value is: ``files``, ``users``, ``pids``, or nothing that is known."""
    names = {"files": _FILES, "users": _USERS, "pids": _PIDS}
    return next((kind for kind, metavars in names.items() if option.metavar in metavars), "")


def _words(found: Sequence[Command]) -> str:
    return " ".join([*(command.name for command in found if command.name), "help", "version"])


def _flags(command: Command) -> list[str]:
    return [name for option in command.options for name in option.names]


_BASH = """\
# bash completion for rawtp, printed by `rawtp completions bash`

_rawtp_complete() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} command="" at
    for ((at = 1; at < COMP_CWORD; at++)); do
        if [[ ${{COMP_WORDS[at]}} == -- ]]; then
            if declare -F _command_offset >/dev/null; then
                _command_offset $((at + 1))
            else
                mapfile -t COMPREPLY < <(compgen -c -- "$cur")
            fi
            return
        fi
    done
    # --option=value is three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    case ${{COMP_WORDS[1]}} in
    {names}) ((COMP_CWORD > 1)) && command=${{COMP_WORDS[1]}} ;;
    esac
    local words=
    case "$command $prev" in
{values}
    *)
        case $command in
{options}
        esac
        if ((COMP_CWORD == 1)); then
            words+=" {words}"
        fi
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}}

complete -F _rawtp_complete rawtp
"""


def _bash(found: Sequence[Command]) -> str:
    values, options = [], []
    for command in found:
        for option in command.options:
            if option.metavar is None or not option.names:
                continue
            pattern = " | ".join(f'"{command.name} {name}"' for name in option.names)
            values.append(f"    {pattern}) {_bash_value(option)} ;;")
        arguments = [option for option in command.options if not option.names]
        words = [*_flags(command), *(choice for option in arguments for choice in option.choices)]
        files = any(_kind(option) == "files" for option in arguments)
        also = ' && [[ $cur != -* ]] && mapfile -t COMPREPLY < <(compgen -f -- "$cur") && return' if files else ""
        options.append(f'        "{command.name}") words="{" ".join(words)}"{also} ;;')
    names = "|".join(command.name for command in found if command.name)
    return _BASH.format(names=names, values="\n".join(values), options="\n".join(options), words=_words(found))


def _bash_value(option: Option) -> str:
    if option.choices:
        return f'words="{" ".join(option.choices)}"'
    action = {"files": "-f", "users": "-u"}.get(_kind(option))
    if action:
        return f'mapfile -t COMPREPLY < <(compgen {action} -- "$cur"); return'
    if _kind(option) == "pids":
        return "words=$(cd /proc && printf '%s ' [0-9]*)"
    return "return"


def _zsh(found: Sequence[Command]) -> str:
    lines = [
        "#compdef rawtp",
        "# zsh completion for rawtp, printed by `rawtp completions zsh`",
        "",
        "_rawtp() {",
        "  local -a commands",
        "  commands=(",
        *(f"    {_zsh_quoted(f'{one.name}:{_colons(one.description)}')}" for one in found if one.name),
        "  )",
        "  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then",
        "    _describe -t commands command commands",
        "    return",
        "  fi",
        "  case $words[2] in",
    ]
    for command in [*found[1:], found[0]]:
        lines.append(f"    {command.name or '*'})")
        if command.name:
            lines.append("      shift words; (( CURRENT-- ))")
        lines.append("      _arguments -s -S \\")
        specs = [spec for option in command.options for spec in _zsh_specs(option)]
        if command.runs_command:
            specs.append("'*::command:_normal'")
        lines += [f"        {spec} \\" for spec in specs[:-1]]
        lines += [f"        {specs[-1]}", "      ;;"]
    return "\n".join([*lines, "  esac", "}", "", '_rawtp "$@"', ""])


def _zsh_specs(option: Option) -> list[str]:
    value = ""
    if option.metavar is not None:
        actions = {"files": "_files", "users": "_users", "pids": "_pids", "": " "}
        action = f"({' '.join(option.choices)})" if option.choices else actions[_kind(option)]
        value = f":{_colons(option.metavar.replace('[', '(').replace(']', ')'))}:{action}"
    if not option.names:
        return [_zsh_quoted(f":{value[1:]}")]
    others = "*" if option.is_list else f"({' '.join(option.names)})"
    text = _colons(option.help).replace("[", r"\[").replace("]", r"\]")
    specs = []
    for name in option.names:
        joint = "" if not value else "=" if name.startswith("--") else "+"
        specs.append(_zsh_quoted(f"{others}{name}{joint}[{text}]{value}"))
    return specs


def _colons(text: str) -> str:
    return text.replace("\\", r"\\").replace(":", r"\:")


def _zsh_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish(found: Sequence[Command]) -> str:
    names = " ".join(command.name for command in found if command.name)
    lines = [
        "# fish completion for rawtp, printed by `rawtp completions fish`",
        "",
        "function __rawtp_is",
        "    set -l words (commandline -opc)",
        "    contains -- -- $words; and return 1",
        f"    set -q words[2]; and contains -- $words[2] {names}; and test $words[2] = $argv[1]; and return",
        f"    test $argv[1] = watch; and not begin; set -q words[2]; and contains -- $words[2] {names}; end",
        "end",
        "",
        "complete -c rawtp -f",
        "complete -c rawtp -n 'contains -- -- (commandline -opc)' -a '(__fish_complete_subcommand --fcs-skip=2)'",
    ]
    first = "-n 'test (count (commandline -opc)) -eq 1'"
    lines += [
        f"complete -c rawtp {first} -a {one.name} -d {_fish_quoted(one.description)}" for one in found if one.name
    ]
    for command in found:
        where = f"complete -c rawtp -n '__rawtp_is {command.name or 'watch'}'"
        for option in command.options:
            short = [f"-s {name[1:]}" for name in option.names if not name.startswith("--")]
            long = [f"-l {name[2:]}" for name in option.names if name.startswith("--")]
            value = _fish_value(option)
            about = [f"-d {_fish_quoted(option.help)}"] if option.names else []
            lines.append(" ".join([where, *short, *long, *value, *about]))
    return "\n".join([*lines, ""])


def _fish_value(option: Option) -> list[str]:
    if option.metavar is None:
        return []
    needs = ["-r"] if option.names else []
    if option.choices:
        return [*needs, f"-a {_fish_quoted(' '.join(option.choices))}"]
    kinds = {
        "files": ["-F"],
        "users": ["-a '(__fish_complete_users)'"],
        "pids": ["-a '(__fish_complete_pids)'"],
        "": [],
    }
    return [*needs, *kinds[_kind(option)]]


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", r"\\").replace("'", r"\'") + "'"
