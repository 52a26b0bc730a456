# iMiGUE, ST-GCN; other inputs by the environment variable STREAM.
#   STREAM=bone bash tools/dist_train.sh CONFIG 1 --validate    in PySKL's folder, CONFIG being the path of this file
import os

_base_ = ["../_base_/stgcn.py", "../_base_/graph_imigue.py"]
work_dir = "work_dirs/imigue/stgcn/" + os.environ.get("STREAM", "joint")
model = dict(
    backbone=dict(graph_cfg=dict(layout="openpose22")),
    cls_head=dict(num_classes=32),
)
