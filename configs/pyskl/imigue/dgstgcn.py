# iMiGUE, DG-STGCN; other inputs by the environment variable STREAM.
#   STREAM=bone bash tools/dist_train.sh CONFIG 1 --validate    in PySKL's folder, CONFIG being the path of this file
import os

_base_ = ["../_base_/dgstgcn.py", "../_base_/graph_imigue.py"]
work_dir = "work_dirs/imigue/dgstgcn/" + os.environ.get("STREAM", "joint")
model = dict(
    backbone=dict(graph_cfg=dict(layout="openpose22")),
    cls_head=dict(num_classes=32),
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
