# MSR-Action3D, cross-subject, limbs of the 20 Kinect joints.
#   semloss train configs/mmaction2/msr_action3d/limb.py
_base_ = "./joint.py"
work_dir = "work_dirs/msr_action3d/limb"
model = dict(data_preprocessor=dict(modality="limb"), backbone=dict(in_channels=19))
