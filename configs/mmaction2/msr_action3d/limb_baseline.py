# MSR-Action3D, limbs, PoseC3D alone: the host's own head, without the semantic branch.
#   semloss train configs/mmaction2/msr_action3d/limb_baseline.py
_base_ = "./limb.py"
work_dir = "work_dirs/msr_action3d/limb_baseline"
model = dict(
    cls_head=dict(
        _delete_=True, type="I3DHead", in_channels=128, num_classes=20, dropout_ratio=0.3, average_clips="prob"
    )
)
