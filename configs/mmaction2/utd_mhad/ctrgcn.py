# UTD-MHAD, CTR-GCN with half the channels; other inputs by --cfg-options stream=bone.
#   semloss train configs/mmaction2/utd_mhad/ctrgcn.py
_base_ = ["../_base_/ctrgcn.py", "../_base_/graph_utd_mhad.py"]
work_dir = "work_dirs/utd_mhad/ctrgcn"
model = dict(
    data_preprocessor=dict(skeleton="kinect20"),
    backbone=dict(base_channels=32),
    cls_head=dict(num_classes=27, in_channels=128),
)
