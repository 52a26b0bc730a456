"""Convert a checkpoint between the published release's names and this package's.

semloss convert released.pth ours.pth --label-vectors data/imigue/label_vectors.npz
semloss convert work_dirs/imigue/joint/epoch_100.pth released.pth --to release
"""

import argparse

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.io.results import add_overwrite_option


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__)
    parser.add_argument("checkpoint", help="checkpoint to read; only tensors and plain data are accepted")
    parser.add_argument("out", help="checkpoint to write")
    parser.add_argument("--label-vectors", help="npz or npy of the label vectors, where the checkpoint lacks them")
    parser.add_argument("--to", choices=["plugin", "release"], default="plugin", help="the names to write")
    add_overwrite_option(parser)
    return parser.parse_args()


@exit_on_error
def main() -> None:
    """Convert and write."""
    args = parse_args()
    from pyskl_semloss.hosts.checkpoints import convert_checkpoint

    state = convert_checkpoint(args.checkpoint, args.out, args.label_vectors, args.to)
    say(f"Wrote {len(state)} tensors to {args.out}")
