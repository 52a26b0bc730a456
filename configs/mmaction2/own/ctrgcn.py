# Own clips, CTR-GCN; data and layout are those of stgcnpp.py.
_base_ = "./stgcnpp.py"
work_dir = "work_dirs/own/ctrgcn"
model = dict(backbone=dict(_delete_=True, type="CTRGCN", graph_cfg=dict(mode="spatial")))
