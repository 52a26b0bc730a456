# MSR-Action3D, ST-GCN++ with random scale and rotation; other inputs by the environment variable STREAM.
#   STREAM=bone bash tools/dist_train.sh CONFIG 1 --validate    in PySKL's folder, CONFIG being the path of this file
import os

_base_ = "./stgcnpp.py"
work_dir = "work_dirs/msr_action3d/stgcnpp_strongaug/" + os.environ.get("STREAM", "joint")
train_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="RandomScaleKeypoints", scale=0.1),
    dict(type="RandomRotateKeypoints", theta=0.3),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=32),
    dict(type="FormatGraphInput"),
    dict(type="Collect", keys=["keypoint", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["keypoint", "label"]),
]
data = dict(train=dict(pipeline=train_pipeline))
total_epochs = 120
