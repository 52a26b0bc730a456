"""Draw a clip of an annotation file as an animation.

Usage:
    semloss animate FILE.pkl CLIP_ID --out clip.gif|clip.mp4
        [--layout openpose22] [--labels labels.txt] [--size 320] [--fps 25] [--whole-image]

CLIP_ID is a frame_dir, or #N for the clip at position N of the file, counted from 0. Missing points are not drawn.
MP4 needs OpenCV.
"""

import warnings

from pyskl_semloss.annotations import Clip, read_annotations
from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.drawing.animation import draw_clip, write_animation
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import closest_names
from pyskl_semloss.io.results import add_overwrite_option
from pyskl_semloss.semantic.class_names import read_class_names
from pyskl_semloss.skeletons import get_layout


def _find(clips: list[Clip], name: str, file: str) -> Clip:
    by_name = {clip.frame_dir: clip for clip in clips}
    if name in by_name:
        return by_name[name]
    if name.startswith("#") and name[1:].isdigit() and int(name[1:]) < len(clips):
        return clips[int(name[1:])]
    near = closest_names(name, by_name, 3) or list(by_name)[:3]
    raise InputError(
        f"it has {len(clips)} clips, but none is called {name!r}", file=file, fix=f"Some: {', '.join(near)}."
    )


def _title(clip: Clip, labels: str | None) -> str:
    if labels is None:
        return f"{clip.frame_dir}  class {clip.label}"
    names = read_class_names(labels)
    return f"{clip.frame_dir}  {names[clip.label] if 0 <= clip.label < len(names) else clip.label}"


@exit_on_error
def main() -> None:
    """Draw the clip that the command line names."""
    parser = argument_parser(__doc__)
    parser.add_argument("file", metavar="FILE.pkl")
    parser.add_argument("clip", metavar="CLIP_ID")
    parser.add_argument("--out", required=True, help="ends in .gif or .mp4")
    parser.add_argument("--layout", default="openpose22", help="of the joints (default: openpose22)")
    parser.add_argument("--labels", help="text file, a class name a line")
    parser.add_argument("--size", type=int, default=320, help="longer side in px (default: 320)")
    parser.add_argument("--fps", type=float, default=25, help="frames a second (default: 25)")
    parser.add_argument("--whole-image", action="store_true", help="do not crop to the persons")
    add_overwrite_option(parser)
    args = parser.parse_args()
    layout = get_layout(args.layout)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the defects of the other clips are no news here
        clips = read_annotations(args.file, unknown_labels=True)[0].clips
    clip = _find(clips, args.clip, args.file)
    frames = draw_clip(clip, layout, size=args.size, title=_title(clip, args.labels), crop=not args.whole_image)
    write_animation(frames, args.out, args.fps)
    say(f"Wrote {len(frames)} frames of clip {clip.frame_dir} to {args.out}")
