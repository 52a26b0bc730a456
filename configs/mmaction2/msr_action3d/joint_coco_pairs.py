# MSR-Action3D, joints, mirrored by the wrong pairs: those of COCO (1-2, 3-4, ... 15-16), which stand as defaults in
# toolboxes and were copied onto the layouts of iMiGUE and SMG, too. Here to measure what that costs.
#   semloss train configs/mmaction2/msr_action3d/joint_coco_pairs.py
_base_ = "./joint.py"
work_dir = "work_dirs/msr_action3d/joint_coco_pairs"
_joints = (
    "right_shoulder left_shoulder neck spine right_hip left_hip hip_centre right_elbow left_elbow right_wrist "
    "left_wrist right_hand left_hand right_knee left_knee right_ankle left_ankle right_foot left_foot head"
)
_skeleton = dict(
    _delete_=True,
    name="kinect20_coco_pairs",
    joints=_joints.split(),
    limbs=[
        (19, 2), (2, 0), (2, 1), (2, 3), (3, 6), (0, 7), (7, 9), (9, 11), (1, 8), (8, 10), (10, 12),
        (6, 4), (6, 5), (4, 13), (13, 15), (15, 17), (5, 14), (14, 16), (16, 18),
    ],
    mirror_pairs=[(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)],
    mistakes="the mirror pairs are those of COCO",
)  # fmt: skip
model = dict(data_preprocessor=dict(skeleton=_skeleton))
train_dataloader = dict(dataset=dict(skeleton=_skeleton))
val_dataloader = dict(dataset=dict(skeleton=_skeleton))
test_dataloader = dict(dataset=dict(skeleton=_skeleton))
