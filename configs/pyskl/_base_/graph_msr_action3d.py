# MSR-Action3D, cross-subject, 20 Kinect joints, for graph networks; small, for a CPU.
import os

_base_ = ["./graph_keypoints_32.py", "./graph_runtime.py"]
clips = dict(
    ann_file="data/msr_action3d/msr_action3d.pkl",
    skeleton="kinect20",
    stream=os.environ.get("STREAM", "joint"),
    num_classes=20,
    off_image="drop",
    binary_score=True,
)
data = dict(
    train=dict(split="xsub_train", **clips),
    val=dict(split="xsub_test", **clips),
    test=dict(split="xsub_test", **clips),
)
