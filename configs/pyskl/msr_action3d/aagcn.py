# MSR-Action3D, AAGCN with half the channels; other inputs by the environment variable STREAM.
#   STREAM=bone bash tools/dist_train.sh CONFIG 1 --validate    in PySKL's folder, CONFIG being the path of this file
import os

_base_ = ["../_base_/aagcn.py", "../_base_/graph_msr_action3d.py"]
work_dir = "work_dirs/msr_action3d/aagcn/" + os.environ.get("STREAM", "joint")
model = dict(
    backbone=dict(graph_cfg=dict(layout="kinect20"), base_channels=32),
    cls_head=dict(num_classes=20, in_channels=128),
)
