# iMiGUE, ST-GCN++; other inputs by --cfg-options stream=bone.
#   semloss train configs/mmaction2/imigue/stgcnpp.py
_base_ = ["../_base_/stgcnpp.py", "../_base_/graph_imigue.py"]
work_dir = "work_dirs/imigue/stgcnpp"
model = dict(
    data_preprocessor=dict(skeleton="openpose22"),
    cls_head=dict(num_classes=32),
)
