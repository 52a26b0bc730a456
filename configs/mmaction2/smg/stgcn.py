# SMG, ST-GCN; other inputs by --cfg-options stream=bone.
#   semloss train configs/mmaction2/smg/stgcn.py
_base_ = ["../_base_/stgcn.py", "../_base_/graph_smg.py"]
work_dir = "work_dirs/smg/stgcn"
model = dict(
    data_preprocessor=dict(skeleton="kinect25"),
    cls_head=dict(num_classes=17),
)
