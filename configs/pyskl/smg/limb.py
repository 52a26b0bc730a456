# SMG, 17 classes, 25 Kinect v2 joints in colour-image pixels, limbs.
#   bash tools/dist_train.sh CONFIG 2 --validate        in PySKL's folder, CONFIG being the path of this file
#   bash tools/dist_test.sh CONFIG work_dirs/smg/limb/latest.pth 1
_base_ = "./joint.py"
work_dir = "work_dirs/smg/limb"
model = dict(backbone=dict(in_channels=24))
data = dict(train=dict(modality="limb"), val=dict(modality="limb"), test=dict(modality="limb"))
