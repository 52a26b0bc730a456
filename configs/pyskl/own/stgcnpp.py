# Own clips, ST-GCN++ with the semantic branch: copy this folder and set what is below `work_dir`. The other networks of
# this folder build on this file. Other inputs by the environment variable STREAM.
#   STREAM=bone bash tools/dist_train.sh CONFIG 1 --validate    in PySKL's folder, CONFIG being the path of this file
# With a few hundred clips, take graph_keypoints_32.py, base_channels=32 and in_channels=128.
import os

_base_ = [
    "../_base_/stgcnpp.py",
    "../_base_/graph_keypoints.py",
    "../_base_/graph_runtime.py",
]
work_dir = "work_dirs/own/stgcnpp/" + os.environ.get("STREAM", "joint")
skeleton = "openpose22"  # a layout's name, or the path of a YAML or JSON file that describes one
clips = dict(
    ann_file="data/own/annotations.pkl",  # of semloss prepare keypoints
    skeleton=skeleton,
    stream=os.environ.get("STREAM", "joint"),
)
model = dict(
    backbone=dict(graph_cfg=dict(layout=skeleton), base_channels=64),
    cls_head=dict(
        type="SemanticGCNHead",
        in_channels=256,
        label_vectors="data/own/label_vectors.npz",  # of semloss label-vectors
        alpha=20.0,
    ),
)
data = dict(
    train=dict(split="train", **clips),
    val=dict(split="val", **clips),
    test=dict(split="test", **clips),
)
