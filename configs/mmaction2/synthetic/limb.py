# The embedded synthetic set, limbs.
#   semloss train configs/mmaction2/synthetic/limb.py
_base_ = "./joint.py"
work_dir = "work_dirs/synthetic/limb"
model = dict(data_preprocessor=dict(modality="limb"), backbone=dict(in_channels=21))
