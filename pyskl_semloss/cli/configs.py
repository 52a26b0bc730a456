"""List the configs of the package, or copy some to change them.

    semloss configs list [mmaction2|pyskl]
    semloss configs copy mmaction2/imigue/joint          to configs/mmaction2/imigue/joint.py, with its bases
    semloss configs copy mmaction2/own mine              the whole folder, to mine/mmaction2/own/

A copy never replaces another file. The commands that read configs take the names of these, too, without a copy.
"""

import difflib
import os
from pathlib import Path

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import atomic_write
from pyskl_semloss.io.resources import config_and_bases, config_names, find_config, normalize_config_name, resource_path


def copy_config(name: str, folder: str | Path) -> dict[Path, bool]:
    """Copy a shipped config, or a folder of them, with the bases.

    The copies have the same relative paths as in the package.

    Args:
        name: Name of a config, with or without ``.py``, or of a folder such as ``mmaction2/own``.
        folder: Target folder; an equal file in it is kept.

    Returns:
        Path of each file -> whether it was written.

    Raises:
        InputError: The config does not exist, or a different file has the name of a copy. Then nothing is written.
    """
    if Path(folder).suffix == ".py":
        fix = "The copies keep their names in it."
        raise InputError("expected a folder, got the name of a config", file=folder, field="DEST", fix=fix)
    prefix = normalize_config_name(name).removesuffix(".py").rstrip("/") + "/"
    chosen = [each for each in config_names() if each == normalize_config_name(name) or each.startswith(prefix)]
    if not chosen:
        folders = dict.fromkeys(os.path.dirname(each) for each in config_names())
        if near := difflib.get_close_matches(prefix[:-1], [*folders, *config_names()], n=1, cutoff=0.8):
            kind = "folder of configs" if near[0] in folders else "config file"
            raise InputError(f"there is no such {kind}; did you mean {near[0]}?", file=name)
        find_config(prefix[:-1])
        raise InputError("it is no config of the package", file=name, fix="`semloss configs list` shows them.")
    contents = {
        Path(folder, each): resource_path(f"configs/{each}").read_bytes()
        for config in chosen
        for each in config_and_bases(config)
    }
    for path, content in contents.items():
        if path.exists() and not (path.is_file() and path.read_bytes() == content):
            fix = "Move it elsewhere, or name another folder: semloss configs copy NAME FOLDER."
            raise InputError("there is another file of this name, and it is kept", file=path, fix=fix)
    written = {path: not path.exists() for path in contents}
    for path in (path for path, new in written.items() if new):
        with atomic_write(path) as stream:
            stream.write(contents[path])
    return written


@exit_on_error
def main() -> None:
    """List or copy."""
    parser = argument_parser(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="print the names")
    listing.add_argument("host", nargs="?", choices=("mmaction2", "pyskl"), help="only the configs for this host")
    copying = commands.add_parser("copy", help="copy a config with its bases")
    copying.add_argument("name", metavar="NAME", help="of a config or of a folder, as `list` prints it")
    copying.add_argument("folder", nargs="?", default="configs", metavar="DEST", help="folder (default: %(default)s)")
    args = parser.parse_args()
    if args.command == "list":
        print("\n".join(config_names(args.host)))
        return
    for path, new in copy_config(args.name, args.folder).items():
        say(f"wrote {path}" if new else f"{path} is there already")
