# Own clips, ST-GCN; data and layout are those of stgcnpp.py.
_base_ = "./stgcnpp.py"
work_dir = "work_dirs/own/stgcn"
model = dict(backbone=dict(_delete_=True, type="STGCN", graph_cfg=dict(mode="stgcn_spatial")))
