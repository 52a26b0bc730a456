# iMiGUE, 32 classes, the anatomical 22-joint layout, joints.
#   semloss train configs/mmaction2/imigue/joint.py
#   semloss test configs/mmaction2/imigue/joint.py work_dirs/imigue/joint/epoch_100.pth
_base_ = [
    "../_base_/posec3d.py",
    "../_base_/keypoints_48x56.py",
    "../_base_/schedule.py",
    "../_base_/runtime.py",
]
work_dir = "work_dirs/imigue/joint"
clips = dict(ann_file="data/imigue/annotations.pkl", skeleton="openpose22", num_classes=32)
model = dict(
    data_preprocessor=dict(skeleton="openpose22"),
    backbone=dict(in_channels=22),
    cls_head=dict(num_classes=32, label_vectors="data/imigue/label_vectors.npz"),
)
train_dataloader = dict(dataset=dict(split="train", **clips))
val_dataloader = dict(dataset=dict(split="val", **clips))
test_dataloader = dict(dataset=dict(split="test", **clips))
