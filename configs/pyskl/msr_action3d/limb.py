# MSR-Action3D, cross-subject, limbs.
#   bash tools/dist_train.sh CONFIG 1 --validate        in PySKL's folder, CONFIG being the path of this file
#   bash tools/dist_test.sh CONFIG work_dirs/msr_action3d/limb/latest.pth 1
_base_ = "./joint.py"
work_dir = "work_dirs/msr_action3d/limb"
model = dict(backbone=dict(in_channels=19))
data = dict(train=dict(modality="limb"), val=dict(modality="limb"), test=dict(modality="limb"))
