# MSR-Action3D, joints, tiny, PoseC3D alone: the host's own head, without the semantic branch.
#   semloss train configs/mmaction2/msr_action3d/joint_tiny_baseline.py
_base_ = "./joint_tiny.py"
work_dir = "work_dirs/msr_action3d/joint_tiny_baseline"
model = dict(
    cls_head=dict(
        _delete_=True, type="I3DHead", in_channels=64, num_classes=20, dropout_ratio=0.3, average_clips="prob"
    )
)
