# iMiGUE, 32 classes, the anatomical 22-joint layout, for graph networks.
import os

_base_ = ["./graph_keypoints.py", "./graph_runtime.py"]
clips = dict(
    ann_file="data/imigue/annotations.pkl",
    skeleton="openpose22",
    stream=os.environ.get("STREAM", "joint"),
    num_classes=32,
)
data = dict(
    train=dict(split="train", **clips),
    val=dict(split="val", **clips),
    test=dict(split="test", **clips),
)
