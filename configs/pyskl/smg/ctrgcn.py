# SMG, CTR-GCN; other inputs by the environment variable STREAM.
#   STREAM=bone bash tools/dist_train.sh CONFIG 1 --validate    in PySKL's folder, CONFIG being the path of this file
import os

_base_ = ["../_base_/ctrgcn.py", "../_base_/graph_smg.py"]
work_dir = "work_dirs/smg/ctrgcn/" + os.environ.get("STREAM", "joint")
model = dict(
    backbone=dict(graph_cfg=dict(layout="kinect25")),
    cls_head=dict(num_classes=17),
)
