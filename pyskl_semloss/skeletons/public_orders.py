"""Orders of joints that public estimators and data sets use, to say which one a file's points lie in.

They are no layouts: nothing is trained on them here, and ``--layout`` takes a file for them.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyskl_semloss.skeletons.joint_names import Point, point_of, points_of
from pyskl_semloss.skeletons.known import KNOWN_LAYOUTS

_KINECT_V1 = (
    "HipCenter Spine ShoulderCenter Head ShoulderLeft ElbowLeft WristLeft HandLeft ShoulderRight ElbowRight WristRight "
    "HandRight HipLeft KneeLeft AnkleLeft FootLeft HipRight KneeRight AnkleRight FootRight"
)
# fmt: off
_OTHERS = {
    "OpenPose BODY_25B": "Nose LEye REye LEar REar LShoulder RShoulder LElbow RElbow LWrist RWrist LHip RHip LKnee "
        "RKnee LAnkle RAnkle UpperNeck HeadTop LBigToe LSmallToe LHeel RBigToe RSmallToe RHeel",
    "Human3.6M": "Pelvis RHip RKnee RAnkle LHip LKnee LAnkle Spine Thorax NeckBase HeadTop LShoulder LElbow LWrist "
        "RShoulder RElbow RWrist",
    "Kinect v1": _KINECT_V1,
    "UTD-MHAD": "Head ShoulderCenter Spine HipCenter ShoulderLeft ElbowLeft WristLeft HandLeft ShoulderRight "
        "ElbowRight WristRight HandRight HipLeft KneeLeft AnkleLeft FootLeft HipRight KneeRight AnkleRight FootRight",
    "HALPE": "Nose LEye REye LEar REar LShoulder RShoulder LElbow RElbow LWrist RWrist LHip RHip LKnee RKnee LAnkle "
        "RAnkle Head NeckBase MidHip LBigToe RBigToe LSmallToe RSmallToe LHeel RHeel",
    "MPII": "RAnkle RKnee RHip LHip LKnee LAnkle MidHip Thorax UpperNeck HeadTop RWrist RElbow RShoulder LShoulder "
        "LElbow LWrist",
}
# fmt: on


def orders_of(joints: int) -> Iterator[tuple[str, tuple[Point, ...]]]:
    """Name, and the point of each joint, of every public order of so many joints."""
    for name, layout in KNOWN_LAYOUTS.items():
        if layout.num_joints == joints and not layout.mistakes:
            yield name, points_of(layout)
    for name, text in _OTHERS.items():
        names = text.split()
        if len(names) == joints:
            yield name, tuple(point_of(each) for each in names)
