"""Shared options of training and testing, read before the host is imported."""

from __future__ import annotations

import argparse
import os
from typing import Any


def override_action() -> type[argparse.Action]:
    """MMEngine's action for ``KEY=VALUE`` settings, with a message for those without an equals sign."""
    # MMEngine cannot be imported everywhere.
    from mmengine.config import DictAction

    class OverrideAction(DictAction):
        def __call__(
            self,
            parser: argparse.ArgumentParser,
            namespace: argparse.Namespace,
            values: Any,
            option_string: str | None = None,
        ) -> None:
            for word in values or ():
                if "=" not in word or word.startswith("="):
                    problem = f"expected KEY=VALUE, as model.cls_head.alpha=10, got {word!r}"
                    parser.error(f"argument --cfg-options: {problem}")
            super().__call__(parser, namespace, values, option_string)

    return OverrideAction


def parse_run_args(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Arguments of training or testing, with the options that both have.

    Args:
        parser: The tool's parser with its own arguments.

    Returns:
        The arguments; ``LOCAL_RANK`` is set for launchers that give the rank as an argument.
    """
    parser.add_argument(
        "--cfg-options", nargs="+", action=override_action(), metavar="KEY=VALUE", help="override settings"
    )
    launchers = ["none", "pytorch", "slurm"]
    parser.add_argument("--launcher", choices=launchers, default="none", help="of several processes (default: none)")
    parser.add_argument("--local-rank", "--local_rank", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    return args
