# SMG, DG-STGCN; other inputs by --cfg-options stream=bone.
#   semloss train configs/mmaction2/smg/dgstgcn.py
_base_ = ["../_base_/dgstgcn.py", "../_base_/graph_smg.py"]
work_dir = "work_dirs/smg/dgstgcn"
model = dict(
    data_preprocessor=dict(skeleton="kinect25"),
    cls_head=dict(num_classes=17),
)
train_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="RandomRotateKeypoints", theta=0.2),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=100),
    dict(type="FormatGraphInput"),
    dict(type="PackKeypoints"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_epochs=150)
