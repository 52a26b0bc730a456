"""Draw keypoint layouts, one PNG each: joints numbered, limbs drawn, left blue, right orange, central grey.

Arrows are the edges of the graph that graph networks use.

    semloss layouts --out pictures                        # every layout of the package
    semloss layouts openpose22 coco17 --out pictures      # some of them
    semloss layouts my_layout.yaml --out pictures         # an own one

A YAML or JSON file holds the fields name, joints, limbs, mirror_pairs and, for a better picture, rest_pose:
an (x, y) per joint in a unit square, y down. The picture is <out>/<name>.png. Needs matplotlib.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.drawing.layouts import draw_layout
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import first_forbidden_character
from pyskl_semloss.io.results import add_overwrite_option
from pyskl_semloss.skeletons import get_layout, layout_names


@exit_on_error
def main() -> None:
    """Parse the arguments and draw."""
    parser = argument_parser(__doc__)
    parser.add_argument(
        "layouts", nargs="*", metavar="LAYOUT", help="names, or YAML or JSON files; default: every layout"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    add_overwrite_option(parser)
    args = parser.parse_args()
    with warnings.catch_warnings():
        # A layout with mistakes says so in its picture.
        warnings.simplefilter("ignore")
        layouts = [get_layout(spec) for spec in args.layouts or layout_names()]
    for layout in layouts:
        if (
            Path(layout.name).name != layout.name
            or layout.name[:1] == "."
            or first_forbidden_character(layout.name) is not None
        ):
            raise InputError(f"{layout.name!r} cannot be the name of a file", field="name")
    for layout in layouts:
        draw_layout(layout, args.out / f"{layout.name}.png")
    names = ", ".join(f"{layout.name}.png" for layout in layouts)
    say(f"wrote {len(layouts)} picture{'s' * (len(layouts) != 1)} to {args.out}: {names}")
