"""Command ``semloss``: its help, and the start of a subcommand.

Only the module of that subcommand is imported.
"""

from __future__ import annotations

import sys
from importlib import import_module

from pyskl_semloss import __version__
from pyskl_semloss.cli.commands import COMMANDS, Command, available_commands
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.errors import InputError

_USAGE = "usage: semloss [-h] [--version] COMMAND ..."


def main() -> None:
    """Run the subcommand that the command line names."""
    words = sys.argv[1:]
    if words and words[0] in available_commands():
        # What argparse shows as the program.
        sys.argv[:2] = [f"semloss {words[0]}"]
        import_module(f"pyskl_semloss.cli.{COMMANDS[words[0]].module}").main()
    else:
        _without_command()


def help_text(commands: dict[str, Command]) -> str:
    """Help of ``semloss``: its commands below the headings of their groups."""
    lines = [_USAGE, "", "Micro-gestures from skeletons, with a semantic embedding loss.", ""]
    width = max(map(len, commands))
    for group in dict.fromkeys(command.group for command in commands.values()):
        lines.append(f"{group}:")
        lines += [f"  {name:<{width}}  {command.help}" for name, command in commands.items() if command.group == group]
        lines.append("")
    return "\n".join([*lines, "semloss COMMAND --help tells more."])


@exit_on_error
def _without_command() -> None:
    words, commands = sys.argv[1:], available_commands()
    if not words:
        print(help_text(commands), file=sys.stderr)
        raise SystemExit(2)
    if words[0] in ("-h", "--help"):
        print(help_text(commands))
    elif words[0] == "--version":
        print(f"semloss {__version__}")
    else:
        raise _unknown(words[0], commands)


def _unknown(word: str, commands: dict[str, Command]) -> InputError:
    from pyskl_semloss.io.reading import closest_names, did_you_mean

    if word.startswith("-"):
        meant = did_you_mean(word, ("--help", "--version"))
        return InputError(f"there is no option {word!r}{meant}", fix="semloss --help lists the commands.")
    # Names of scripts in tools/ are known, too.
    names = {command.module: name for name, command in commands.items()} | {name: name for name in commands}
    near = [names[name] for name in closest_names(word.removesuffix(".py"), names)]
    meant = f": did you mean semloss {near[0]}?" if near else ""
    return InputError(f"there is no command {word!r}{meant}", fix="semloss --help lists the commands.")
