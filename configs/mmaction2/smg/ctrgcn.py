# SMG, CTR-GCN; other inputs by --cfg-options stream=bone.
#   semloss train configs/mmaction2/smg/ctrgcn.py
_base_ = ["../_base_/ctrgcn.py", "../_base_/graph_smg.py"]
work_dir = "work_dirs/smg/ctrgcn"
model = dict(
    data_preprocessor=dict(skeleton="kinect25"),
    cls_head=dict(num_classes=17),
)
