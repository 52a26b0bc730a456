# The embedded synthetic set, joints, on a CPU in minutes: 16 frames, 32x32 maps, a small PoseC3D.
#   semloss train configs/mmaction2/synthetic/joint.py
#   semloss test configs/mmaction2/synthetic/joint.py work_dirs/synthetic/joint/epoch_18.pth
_base_ = [
    "../_base_/posec3d_small.py",
    "../_base_/keypoints_16x32.py",
    "../_base_/schedule.py",
    "../_base_/runtime.py",
]
work_dir = "work_dirs/synthetic/joint"
clips = dict(ann_file="data/synthetic/annotations.pkl", skeleton="openpose22", num_classes=32)
model = dict(
    data_preprocessor=dict(skeleton="openpose22"),
    backbone=dict(in_channels=22),
    cls_head=dict(num_classes=32, label_vectors="data/synthetic/label_vectors.npz"),
)
train_dataloader = dict(dataset=dict(split="train", **clips))
val_dataloader = dict(dataset=dict(split="val", **clips))
test_dataloader = dict(dataset=dict(split="test", **clips))
train_cfg = dict(max_epochs=18, val_begin=6, val_interval=6)
optim_wrapper = dict(optimizer=dict(lr=0.15))
