# The embedded synthetic set, joints, PoseC3D alone: the host's own head, without the semantic branch.
#   semloss train configs/mmaction2/synthetic/joint_baseline.py
_base_ = "./joint.py"
work_dir = "work_dirs/synthetic/joint_baseline"
model = dict(
    cls_head=dict(
        _delete_=True, type="I3DHead", in_channels=128, num_classes=32, dropout_ratio=0.3, average_clips="prob"
    )
)
