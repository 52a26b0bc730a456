# iMiGUE, 32 classes, the anatomical 22-joint layout, limbs.
#   semloss train configs/mmaction2/imigue/limb.py
#   semloss test configs/mmaction2/imigue/limb.py work_dirs/imigue/limb/epoch_100.pth
_base_ = "./joint.py"
work_dir = "work_dirs/imigue/limb"
model = dict(data_preprocessor=dict(modality="limb"), backbone=dict(in_channels=21))
