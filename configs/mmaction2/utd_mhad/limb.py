# UTD-MHAD, cross-subject, limbs of the 20 Kinect joints.
#   semloss train configs/mmaction2/utd_mhad/limb.py
_base_ = "./joint.py"
work_dir = "work_dirs/utd_mhad/limb"
model = dict(data_preprocessor=dict(modality="limb"), backbone=dict(in_channels=19))
