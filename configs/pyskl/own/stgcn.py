# Own clips, ST-GCN; the data are those of stgcnpp.py. The layout is named here again.
import os

_base_ = "./stgcnpp.py"
work_dir = "work_dirs/own/stgcn/" + os.environ.get("STREAM", "joint")
model = dict(backbone=dict(_delete_=True, type="STGCN", graph_cfg=dict(layout="openpose22", mode="stgcn_spatial")))
