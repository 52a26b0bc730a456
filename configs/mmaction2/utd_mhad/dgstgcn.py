# UTD-MHAD, DG-STGCN with half the channels; other inputs by --cfg-options stream=bone.
#   semloss train configs/mmaction2/utd_mhad/dgstgcn.py
_base_ = ["../_base_/dgstgcn.py", "../_base_/graph_utd_mhad.py"]
work_dir = "work_dirs/utd_mhad/dgstgcn"
model = dict(
    data_preprocessor=dict(skeleton="kinect20"),
    backbone=dict(base_channels=32),
    cls_head=dict(num_classes=27, in_channels=128),
)
train_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="RandomRotateKeypoints", theta=0.2),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=32),
    dict(type="FormatGraphInput"),
    dict(type="PackKeypoints"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_epochs=150)
