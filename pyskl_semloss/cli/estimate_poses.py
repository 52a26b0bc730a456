"""Find keypoints in videos and write recordings: NAME.npz, with facts in NAME.json.

Usage:
    semloss poses VIDEO... --out DIR [--layout openpose22] [--workers 1] [--overlay]
        [--estimator mediapipe] [--max-side 960] [--stride 1] [--start S] [--end S] [--fps F]
        [--person largest] [--max-persons 2] [--pause FRAMES]

--layout is a known layout (openpose22, coco17, wholebody133, ...) or a YAML or JSON file with an own one.
--estimator is mediapipe, mediapipe-lite, mediapipe-heavy or package.module:factory.
--person, --max-persons and --pause are those of semloss prepare keypoints, for an estimator that finds several persons.
--overlay writes the video with the skeleton drawn over it, NAME_overlay.mp4, too.
After an interruption, give the same command again: it continues. The exit status is 1 if a video failed; the others are
finished. A video in which nobody is seen is no failure: its recording is written, with a warning.
"""

import sys
import time

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.data_arguments import add_person_arguments
from pyskl_semloss.cli.interruption import exit_on_signal
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.cli.progress import FrameProgress
from pyskl_semloss.io.results import add_overwrite_option
from pyskl_semloss.recordings.visibility import visibility_text
from pyskl_semloss.video import EstimationOptions, estimate_files
from pyskl_semloss.video.batch import VideoResult


def _say(outcome: VideoResult) -> None:
    if outcome.status == "failed":
        say(f"error: {outcome.problem}", error=True)
        return
    about = outcome.facts
    line = f"{outcome.recording}: {about['frames']} frames ({about['seconds']:.1f} s at {about['fps']:g} frames/s), "
    line += f"somebody seen in {about['seen'] / about['frames']:.0%} of them"
    line += visibility_text(about.get("seen_by_part", {}), about["frames"])
    if about.get("persons_found", 1) > 1:
        whom = f"person {', '.join(map(str, about['chosen']))}" if about["chosen"] else "the largest of each frame"
        line += f"; {whom} of {about['persons_found']} persons"
    if missing := about["missing"]:
        line += f"; missing joints: {', '.join(missing[:4])}{f' and {len(missing) - 4} more' * (len(missing) > 4)}"
    say(line + ("; it was there already" if outcome.status == "kept" else ""))
    if not about["seen"]:
        say(f"warning: {outcome.recording}: nobody is seen in it; look at the video", error=True)


@exit_on_error
@exit_on_signal()
def main() -> None:
    """Estimate the poses in the videos of the command line."""
    parser = argument_parser(__doc__)
    parser.add_argument("videos", nargs="+", metavar="VIDEO")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the recordings")
    parser.add_argument("--layout", default="openpose22", help="name or file (default: openpose22)")
    parser.add_argument("--estimator", default="mediapipe", help="name, or package.module:factory (default: mediapipe)")
    parser.add_argument("--max-side", type=int, default=960, metavar="PX", help="size of frames to use (default: 960)")
    parser.add_argument("--stride", type=int, default=1, metavar="N", help="take each N-th frame (default: 1)")
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="second of the video to begin at")
    parser.add_argument("--end", type=float, metavar="S", help="second of the video to end at")
    parser.add_argument("--fps", type=float, metavar="F", help="frame rate, if the video lacks it")
    add_person_arguments(parser)
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument("--overlay", action="store_true", help="write the video with the skeleton drawn over it")
    add_overwrite_option(parser)
    args = parser.parse_args()
    options = EstimationOptions(args.layout, args.estimator, args.max_side, args.stride, args.start, args.end, args.fps,
                                args.person, args.max_persons, args.pause)  # fmt: skip
    begin = time.monotonic()
    progress = FrameProgress(sys.stderr)
    outcomes = estimate_files(
        args.videos, args.out, options, workers=args.workers, overlay=args.overlay, progress=progress
    )
    progress.end()
    for outcome in outcomes:
        _say(outcome)
    good = [outcome for outcome in outcomes if outcome.status != "failed"]
    frames = sum(outcome.facts["frames"] for outcome in good if outcome.status == "made")
    say(f"Wrote {len(good)} of {len(outcomes)} recordings to {args.out}, {frames} frames anew in "
          f"{time.monotonic() - begin:.0f} s")  # fmt: skip
    if len(good) < len(outcomes):
        raise SystemExit(1)
