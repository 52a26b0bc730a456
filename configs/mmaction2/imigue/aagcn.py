# iMiGUE, AAGCN; other inputs by --cfg-options stream=bone.
#   semloss train configs/mmaction2/imigue/aagcn.py
_base_ = ["../_base_/aagcn.py", "../_base_/graph_imigue.py"]
work_dir = "work_dirs/imigue/aagcn"
model = dict(
    data_preprocessor=dict(skeleton="openpose22"),
    cls_head=dict(num_classes=32),
)
