# MSR-Action3D, cross-subject, 20 Kinect joints, on a CPU core in minutes: 16 frames, 24x24 maps, a tiny PoseC3D.
#   semloss train configs/mmaction2/msr_action3d/joint_tiny.py
#   semloss test configs/mmaction2/msr_action3d/joint_tiny.py work_dirs/msr_action3d/joint_tiny/epoch_60.pth
# Kinect's confidences are 0 on most head-side joints, so a point counts as known when it lies in the image.
_base_ = [
    "../_base_/posec3d_tiny.py",
    "../_base_/keypoints_16x24.py",
    "../_base_/schedule.py",
    "../_base_/runtime.py",
]
work_dir = "work_dirs/msr_action3d/joint_tiny"
clips = dict(
    ann_file="data/msr_action3d/msr_action3d.pkl",
    skeleton="kinect20",
    num_classes=20,
    off_image="drop",
    binary_score=True,
)
model = dict(
    data_preprocessor=dict(skeleton="kinect20"),
    backbone=dict(in_channels=20),
    cls_head=dict(
        num_classes=20,
        label_vectors="data/msr_action3d/label_vectors.npz",
        rescale=True,
    ),
)
train_dataloader = dict(dataset=dict(split="xsub_train", **clips))
val_dataloader = dict(dataset=dict(split="xsub_test", **clips))
test_dataloader = dict(dataset=dict(split="xsub_test", **clips))
train_cfg = dict(max_epochs=60, val_interval=20)
optim_wrapper = dict(optimizer=dict(lr=0.15))
