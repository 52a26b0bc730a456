# UTD-MHAD, limbs, PoseC3D alone: the host's own head, without the semantic branch.
#   semloss train configs/mmaction2/utd_mhad/limb_baseline.py
_base_ = "./limb.py"
work_dir = "work_dirs/utd_mhad/limb_baseline"
model = dict(
    cls_head=dict(
        _delete_=True, type="I3DHead", in_channels=64, num_classes=27, dropout_ratio=0.3, average_clips="prob"
    )
)
