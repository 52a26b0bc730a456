# Own clips, DG-STGCN; the data are those of stgcnpp.py. The layout is named here again.
import os

_base_ = "./stgcnpp.py"
work_dir = "work_dirs/own/dgstgcn/" + os.environ.get("STREAM", "joint")
model = dict(
    backbone=dict(
        _delete_=True,
        type="DGSTGCN",
        gcn_ratio=0.125,
        gcn_ctr="T",
        gcn_ada="T",
        tcn_ms_cfg=[(3, 1), (3, 2), (3, 3), (3, 4), ("max", 3), "1x1"],
        graph_cfg=dict(layout="openpose22", mode="random", num_filter=8, init_off=0.04, init_std=0.02),
    )
)
train_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="RandomRotateKeypoints", theta=0.2),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=100),
    dict(type="FormatGraphInput"),
    dict(type="Collect", keys=["keypoint", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["keypoint", "label"]),
]
data = dict(train=dict(pipeline=train_pipeline))
total_epochs = 150
