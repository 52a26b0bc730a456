# PoseC3D for one CPU core and a minute or two: half the channels of the small one, a 64-d feature, in bfloat16.
_base_ = "./posec3d_small.py"
model = dict(
    fast=True,
    backbone=dict(base_channels=16),
    cls_head=dict(in_channels=64),
)
