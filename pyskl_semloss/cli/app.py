"""Recognise gestures in the browser: drop a video or a keypoint file, watch the skeleton and the timeline.

semloss app --joint work_dirs/joint/epoch_100.pth --limb work_dirs/limb/epoch_100.pth
semloss app --joint CONFIG CHECKPOINT --background 'illustrative hand gestures' --port 8080
Only this machine reaches the page, unless --host says otherwise. What is uploaded is removed when its tab is closed.
It needs pip install 'pyskl_semloss[app]', and for videos 'pyskl_semloss[video]'; see docs/app.md.
"""

import argparse
import functools
import os
from typing import Any

from pyskl_semloss.app.limits import Limits
from pyskl_semloss.cli.commands import argument_parser, as_typed
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.cli.segment_arguments import add_models, add_rules, models_of, rules_of, windows_of
from pyskl_semloss.errors import HostError, InputError
from pyskl_semloss.io.resources import find_config, pip_install


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__)
    add_models(parser)
    add_rules(parser)
    limits = Limits()
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", type=int, default=8080, help="0 takes any that is free (default: 8080)")
    parser.add_argument(
        "--max-megabytes", type=float, default=limits.megabytes, help="of a file (default: %(default)g)"
    )
    parser.add_argument(
        "--max-minutes", type=float, default=limits.minutes, help="of a recording (default: %(default)g)"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open one")
    return parser.parse_args()


def load(**models: Any) -> Any:
    """The predictor; called in the worker's process, so that the server's is without PyTorch."""
    from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor

    return Predictor(**models)


@exit_on_error
def main() -> None:
    """Serve the page until Ctrl-C."""
    args = parse_args()
    limits, rules, windows = Limits(args.max_megabytes, args.max_minutes), rules_of(args), windows_of(args)
    models = models_of(args)
    named = [("joint", args.joint), ("limb", args.limb), *(("graph", files) for files in args.graph or ())]
    named = [(name, files) for name, files in named if files]
    if not named:
        problem = "expected a joint model, a limb model or a graph network, got none"
        raise InputError(problem, field="--joint, --limb, --graph")
    for _, (*config, checkpoint) in named:
        for name in config:
            find_config(name)
        if not os.path.isfile(checkpoint):
            raise InputError("there is no such file", file=checkpoint)
    from pyskl_semloss.hosts.environment import check_mmaction2

    check_mmaction2()
    try:
        from pyskl_semloss.app.page import serve
    except ImportError as error:
        raise HostError(f"the page needs NiceGUI ({error}); run: {pip_install('app')}") from None
    from pyskl_semloss.app.analysis import Analysis

    models_line = ", ".join(f"{name} {os.path.basename(files[-1])}" for name, files in named)
    serve(
        Analysis(functools.partial(load, **models), rules, windows), about=f"Models: {models_line}",
        limits=limits, host=args.host, port=args.port, show=not args.no_browser, as_typed=as_typed,
    )  # fmt: skip
