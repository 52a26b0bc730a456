# SMG, 17 classes, 25 Kinect v2 joints in colour-image pixels, for graph networks.
import os

_base_ = ["./graph_keypoints.py", "./graph_runtime.py"]
clips = dict(
    ann_file="data/smg/annotations.pkl",
    skeleton="kinect25",
    stream=os.environ.get("STREAM", "joint"),
    num_classes=17,
)
data = dict(
    train=dict(split="train", **clips),
    val=dict(split="test", **clips),
    test=dict(split="test", **clips),
)
