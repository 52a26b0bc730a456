"""Check the installation for a host and show commands that mend it.

    semloss check [--host mmaction2|pyskl|video]

Without --host: for the host that is installed, for both where neither is, and for poses in videos, the extra [video],
if MediaPipe is there. Nothing is imported or changed. The exit status is 1 if something is wrong.
"""

import sys

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.hosts.environment import HOSTS, hosts_here, packages_of, problems_of, video_is_here
from pyskl_semloss.io.resources import pip_install

TITLES = {"mmaction2": "MMAction2", "pyskl": "PySKL", "video": "poses in videos"}


def report(host: str) -> int:
    """Print the packages and the problems of one host; return the number of problems."""
    rows = [("package", "installed", "wanted")]
    rows += [(name, version or "-", wanted) for name, version, wanted in packages_of(host)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    print(f"{TITLES[host]}, Python {sys.version.split()[0]}, {sys.executable}")
    for name, version, wanted in rows:
        print(f"  {name:<{widths[0]}}  {version:<{widths[1]}}  {wanted}")
    problems = problems_of(host)
    for number, problem in enumerate(problems, 1):
        print(f"{number}. {problem.description}.\n   {problem.command}")
    plural = "" if len(problems) == 1 else "s"
    print(f"{len(problems)} problem{plural} for {TITLES[host]}" if problems else f"ready for {TITLES[host]}")
    return len(problems)


@exit_on_error
def main() -> None:
    """Report on the chosen host, or on those that are installed."""
    parser = argument_parser(__doc__)
    parser.add_argument("--host", choices=(*HOSTS, "video"), help="the host to report on, or poses in videos")
    args = parser.parse_args()
    hosts = [args.host] if args.host else (hosts_here() or list(HOSTS)) + ["video"] * video_is_here()
    if not args.host and "video" not in hosts:
        print(f"The extra for poses in videos is not installed: {pip_install('video')}")
    if sum(report(host) for host in hosts):
        raise SystemExit(1)
