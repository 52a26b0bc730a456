# SMG, joints, PoseC3D alone: the host's own head, without the semantic branch.
#   semloss train configs/mmaction2/smg/joint_baseline.py
_base_ = "./joint.py"
work_dir = "work_dirs/smg/joint_baseline"
model = dict(
    cls_head=dict(
        _delete_=True, type="I3DHead", in_channels=512, num_classes=17, dropout_ratio=0.5, average_clips="prob"
    )
)
