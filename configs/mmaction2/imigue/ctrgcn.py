# iMiGUE, CTR-GCN; other inputs by --cfg-options stream=bone.
#   semloss train configs/mmaction2/imigue/ctrgcn.py
_base_ = ["../_base_/ctrgcn.py", "../_base_/graph_imigue.py"]
work_dir = "work_dirs/imigue/ctrgcn"
model = dict(
    data_preprocessor=dict(skeleton="openpose22"),
    cls_head=dict(num_classes=32),
)
