# iMiGUE, limbs, PoseC3D alone: the host's own head, without the semantic branch.
#   bash tools/dist_train.sh CONFIG 2 --validate        in PySKL's folder, CONFIG being the path of this file
_base_ = "./limb.py"
work_dir = "work_dirs/imigue/limb_baseline"
model = dict(cls_head=dict(_delete_=True, type="I3DHead", in_channels=512, num_classes=32, dropout=0.5))
