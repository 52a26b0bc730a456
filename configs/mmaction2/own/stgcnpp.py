# Own clips, ST-GCN++ with the semantic branch: copy this folder and set the three lines below `work_dir`. The other
# networks of this folder build on this file. Other inputs by --cfg-options stream=bone.
#   semloss train configs/mmaction2/own/stgcnpp.py
# On a CPU, or with a few hundred clips, take graph_keypoints_32.py, base_channels=32 and in_channels=128.
_base_ = [
    "../_base_/stgcnpp.py",
    "../_base_/graph_keypoints.py",
    "../_base_/graph_schedule.py",
    "../_base_/runtime.py",
]
work_dir = "work_dirs/own/stgcnpp"
ann_file = "data/own/annotations.pkl"  # of semloss prepare keypoints
label_vectors = "data/own/label_vectors.npz"  # of semloss label-vectors
skeleton = "openpose22"  # a layout's name, or a YAML or JSON file that describes one

clips = dict(ann_file=ann_file, skeleton=skeleton)
model = dict(
    data_preprocessor=dict(skeleton=skeleton),
    backbone=dict(base_channels=64),
    cls_head=dict(type="SemanticGCNHead", in_channels=256, label_vectors=label_vectors),
)
train_dataloader = dict(dataset=dict(split="train", **clips))
val_dataloader = dict(dataset=dict(split="val", **clips))
test_dataloader = dict(dataset=dict(split="test", **clips))
