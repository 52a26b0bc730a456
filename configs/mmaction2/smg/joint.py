# SMG, 17 classes, 25 Kinect v2 joints in colour-image pixels, joints.
#   semloss train configs/mmaction2/smg/joint.py
#   semloss test configs/mmaction2/smg/joint.py work_dirs/smg/joint/epoch_100.pth
_base_ = [
    "../_base_/posec3d.py",
    "../_base_/keypoints_48x56.py",
    "../_base_/schedule.py",
    "../_base_/runtime.py",
]
work_dir = "work_dirs/smg/joint"
clips = dict(ann_file="data/smg/annotations.pkl", skeleton="kinect25", num_classes=17)
model = dict(
    data_preprocessor=dict(skeleton="kinect25"),
    backbone=dict(in_channels=25),
    cls_head=dict(num_classes=17, label_vectors="data/smg/label_vectors.npz"),
)
train_dataloader = dict(dataset=dict(split="train", **clips))
val_dataloader = dict(dataset=dict(split="test", **clips))
test_dataloader = dict(dataset=dict(split="test", **clips))
