# MSR-Action3D, CTR-GCN with half the channels; other inputs by --cfg-options stream=bone.
#   semloss train configs/mmaction2/msr_action3d/ctrgcn.py
_base_ = ["../_base_/ctrgcn.py", "../_base_/graph_msr_action3d.py"]
work_dir = "work_dirs/msr_action3d/ctrgcn"
model = dict(
    data_preprocessor=dict(skeleton="kinect20"),
    backbone=dict(base_channels=32),
    cls_head=dict(num_classes=20, in_channels=128),
)
