"""Own keypoints as the estimators write them, made of arrays: x, y, score of each joint."""

import json

import numpy as np

from pyskl_semloss.skeletons import get_layout


def body(layout, frames, centre=(700, 540), size=800.0, seed=0):
    """(T, V, 3) of a person who sways a little, in px, with scores of 0.5 to 0.9, rounded as files are."""
    rng = np.random.default_rng(seed)
    pose = np.array(get_layout(layout).rest_pose)
    sway = np.stack([10 * np.sin(np.arange(frames) / 9 + seed), 6 * np.cos(np.arange(frames) / 7)], -1)
    points = (pose - 0.5) * size + centre + sway[:, None]
    return np.concatenate([points, rng.uniform(0.5, 0.9, (*points.shape[:2], 1))], -1).round(3)


def openpose_person(values, identity=-1, hands=True):
    """A person of OpenPose's JSON from (67, 3) or (25, 3)."""
    left, right = (values[25:46], values[46:]) if hands else ([], [])
    return {
        "person_id": [identity], "pose_keypoints_2d": values[:25].ravel().tolist(), "face_keypoints_2d": [],
        "hand_left_keypoints_2d": np.ravel(left).tolist(), "hand_right_keypoints_2d": np.ravel(right).tolist(),
    }  # fmt: skip


def write_openpose(folder, frames, name="talk", hands=True):
    """A folder of OpenPose; ``frames`` is frame number -> persons of (67, 3), or (person id, that)."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame, people in frames.items():
        people = [person if isinstance(person, tuple) else (-1, person) for person in people]
        content = {"version": 1.3, "people": [openpose_person(values, who, hands) for who, values in people]}
        (folder / f"{name}_{frame:012d}_keypoints.json").write_text(json.dumps(content))
    return folder


def mmpose_frame(number, people):
    """A frame of MMPose's results from persons of (V, 3)."""
    instances = [
        {"keypoints": each[:, :2].tolist(), "keypoint_scores": each[:, 2].tolist(), "bbox": [[0, 0, 9, 9]],
         "bbox_score": 0.9} for each in people
    ]  # fmt: skip
    return {"frame_id": number, "instances": instances}


def write_mmpose(path, frames, demo=True):
    """A file of MMPose's demo (frames from 1, indented) or of its inferencer; ``frames`` lists persons of each."""
    told = [mmpose_frame(number + demo, people) for number, people in enumerate(frames)]
    meta = {"dataset_name": "coco", "sigmas": {"__ndarray__": [0.1], "dtype": "float32", "shape": [1]}}
    content = {"meta_info": meta, "instance_info": told} if demo else told
    path.write_text(json.dumps(content, indent="\t" if demo else "  "))
    return path


def write_csv(path, frames, layout, person=False, score=True):
    """A table; ``frames`` is a list of (frame, person, (V, 3))."""
    kinds = ("x", "y", "score") if score else ("x", "y")
    titles = [
        "frame",
        *["person"] * person,
        *(f"{kind}_{joint}" for joint in get_layout(layout).joints for kind in kinds),
    ]
    lines = [",".join(titles)]
    for frame, who, values in frames:
        cells = [str(frame), *[str(who)] * person]
        lines.append(",".join([*cells, *(f"{value:g}" for value in values[:, : len(kinds)].ravel())]))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_images(folder, frames, name="{:06d}", nested=False):
    """A folder of MMPose's inferencer for images; ``frames`` is number -> persons of (V, 3)."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, people in frames.items():
        persons = mmpose_frame(number, people)["instances"]
        text = json.dumps([persons] if nested else persons, indent="  ")
        (folder / f"{name.format(number)}.json").write_text(text)
    return folder
