# UTD-MHAD, ST-GCN++ with half the channels; other inputs by --cfg-options stream=bone.
#   semloss train configs/mmaction2/utd_mhad/stgcnpp.py
_base_ = ["../_base_/stgcnpp.py", "../_base_/graph_utd_mhad.py"]
work_dir = "work_dirs/utd_mhad/stgcnpp"
model = dict(
    data_preprocessor=dict(skeleton="kinect20"),
    backbone=dict(base_channels=32),
    cls_head=dict(num_classes=27, in_channels=128),
)
