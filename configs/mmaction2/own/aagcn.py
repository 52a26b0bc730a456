# Own clips, AAGCN; data and layout are those of stgcnpp.py.
_base_ = "./stgcnpp.py"
work_dir = "work_dirs/own/aagcn"
model = dict(backbone=dict(_delete_=True, type="AAGCN", graph_cfg=dict(mode="spatial")))
