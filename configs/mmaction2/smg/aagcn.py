# SMG, AAGCN; other inputs by --cfg-options stream=bone.
#   semloss train configs/mmaction2/smg/aagcn.py
_base_ = ["../_base_/aagcn.py", "../_base_/graph_smg.py"]
work_dir = "work_dirs/smg/aagcn"
model = dict(
    data_preprocessor=dict(skeleton="kinect25"),
    cls_head=dict(num_classes=17),
)
