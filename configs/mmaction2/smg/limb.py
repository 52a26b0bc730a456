# SMG, 17 classes, 25 Kinect v2 joints in colour-image pixels, limbs.
#   semloss train configs/mmaction2/smg/limb.py
#   semloss test configs/mmaction2/smg/limb.py work_dirs/smg/limb/epoch_100.pth
_base_ = "./joint.py"
work_dir = "work_dirs/smg/limb"
model = dict(data_preprocessor=dict(modality="limb"), backbone=dict(in_channels=24))
