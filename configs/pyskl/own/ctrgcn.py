# Own clips, CTR-GCN; the data are those of stgcnpp.py. The layout is named here again.
import os

_base_ = "./stgcnpp.py"
work_dir = "work_dirs/own/ctrgcn/" + os.environ.get("STREAM", "joint")
model = dict(
    backbone=dict(_delete_=True, type="CTRGCN", num_person=1, graph_cfg=dict(layout="openpose22", mode="spatial"))
)
