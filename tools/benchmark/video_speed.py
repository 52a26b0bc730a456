"""Measure pose estimation: frames per second of stages, whole, two processes; memory.

    python tools/benchmark/video_speed.py VIDEO                  # stages on its first 300 frames, then the whole of it
    python tools/benchmark/video_speed.py VIDEO --whole          # only the whole, and how memory grows
    python tools/benchmark/video_speed.py VIDEO --minutes 60     # the same of the video looped to an hour
    python tools/benchmark/video_speed.py VIDEO --workers 2      # two recordings side by side, and one shared by two

Run it on an idle machine: the load average is printed with the figures.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pyskl_semloss.errors import HostError
from pyskl_semloss.video import EstimationOptions, estimate, estimate_files, load_estimator, open_video
from pyskl_semloss.video.estimate import _smaller
from pyskl_semloss.video.frames import import_cv2

STAGE_FRAMES = 300


def looped(path, minutes, out):
    """Looped video as an MP4 of the same size and rate."""
    cv2, video = import_cv2(), open_video(path)
    height, width = video.image_shape
    writer = cv2.VideoWriter(str(out), cv2.VideoWriter_fourcc(*"mp4v"), video.fps, (width, height))
    left = int(minutes * 60 * video.fps)
    while left > 0:
        for _, frame in video.frames():
            if left > 0:
                writer.write(frame)
                left -= 1
    writer.release()
    return str(out)


def resident():
    """Resident memory of this process, MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def stages(path, max_side):
    """Print frames a second of decoding, scaling and estimating, each alone."""
    video = open_video(path)
    begin, count, frames, change = time.monotonic(), 0, [], _smaller(video, max_side)
    for _, frame in video.frames(stop=STAGE_FRAMES, threads=1):
        count += 1
        if len(frames) < 60:
            frames.append(frame)
    print(f"decode {video.image_shape[1]} x {video.image_shape[0]}: {count / (time.monotonic() - begin):.0f} frames/s")
    begin = time.monotonic()
    small = [change(frame) for frame in frames]
    print(f"scale to {max_side}: {len(small) / (time.monotonic() - begin):.0f} frames/s")
    for name in ("mediapipe-lite", "mediapipe", "mediapipe-heavy"):
        try:
            estimator = load_estimator(name, 1)
        except HostError as error:
            print(f"{name}: {error}")
            continue
        for frame in small[:5]:
            estimator.find(frame)
        begin, spent = time.monotonic(), time.process_time()
        for frame in small * 3:
            estimator.find(frame)
        wall, cpu = (now / len(small) / 3 for now in (time.monotonic() - begin, time.process_time() - spent))
        print(f"{name}, 1 thread: {1 / wall:.1f} frames/s, {cpu * 1000:.1f} ms of a core each")


def whole(path, max_side, out):
    """Print frames a second and memory of one recording in this process."""
    samples, begin, first = [], time.monotonic(), []

    def progress(done, total):
        first[:] = first or [time.monotonic()]
        if done % 250 == 0:
            samples.append((done, resident()))

    recording = estimate(path, max_side=max_side, progress=progress)
    wall, begin = time.monotonic() - first[0], time.monotonic()
    print(f"whole: {recording.frames} frames in {wall:.1f} s, {recording.frames / wall:.1f} frames/s, "
          f"{recording.seconds / wall:.2f} times real time")  # fmt: skip
    recording.save(out / "whole.npz")
    print(
        f"write: {recording.frames / (time.monotonic() - begin):.0f} frames/s, {(out / 'whole.npz').stat().st_size} B"
    )
    late = np.array([sample for sample in samples if sample[0] > recording.frames / 5])
    if len(late) > 3:
        slope = np.polyfit(late[:, 0] / (60 * recording.fps), late[:, 1], 1)[0]
        print(f"memory after the first fifth: {late[:, 1].min():.0f} to {late[:, 1].max():.0f} MB, "
              f"{slope:+.3f} MB for each minute of video")  # fmt: skip


def side_by_side(path, max_side, workers, out):
    """Print frames a second of parallel recordings, and of a shared recording."""
    copies = []
    for number in range(workers):
        copies.append(out / f"copy_{number}{Path(path).suffix}")
        copies[-1].write_bytes(Path(path).read_bytes())
    for title, videos in ((f"{workers} recordings side by side", copies), ("one recording", copies[:1])):
        begin, first = time.monotonic(), []

        def progress(done, total, videos, all_videos, first=first):
            if done and not first:
                first.append((time.monotonic(), done))

        options = EstimationOptions(max_side=max_side)
        outcomes = estimate_files(videos, out / str(len(videos)), options, workers=workers, progress=progress)
        end, frames = time.monotonic(), sum(outcome.facts["frames"] for outcome in outcomes)
        seconds = sum(outcome.facts["seconds"] for outcome in outcomes)
        rate = (frames - first[0][1]) / (end - first[0][0])
        print(f"{title}, {workers} processes: {frames} frames in {end - begin:.1f} s with the start of the processes; "
              f"{rate:.1f} frames/s together after it, {rate * seconds / frames:.2f} times real time")  # fmt: skip


def main():
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--whole", action="store_true", help="leave the stages out")
    parser.add_argument("--minutes", type=float, help="loop the video to this length; leaves the stages out")
    parser.add_argument("--max-side", type=int, default=960)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as folder:
        path = looped(args.video, args.minutes, Path(folder) / "long.mp4") if args.minutes else args.video
        if args.workers > 1:
            side_by_side(path, args.max_side, args.workers, Path(folder))
        else:
            if not (args.minutes or args.whole):
                stages(path, args.max_side)
            whole(path, args.max_side, Path(folder))
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
