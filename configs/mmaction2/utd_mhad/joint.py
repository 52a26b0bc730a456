# UTD-MHAD, cross-subject, 20 Kinect joints, on a CPU core in minutes: 16 frames, 24x24 maps, a tiny PoseC3D.
#   semloss train configs/mmaction2/utd_mhad/joint.py
#   semloss test configs/mmaction2/utd_mhad/joint.py work_dirs/utd_mhad/joint/epoch_60.pth
_base_ = [
    "../_base_/posec3d_tiny.py",
    "../_base_/keypoints_16x24.py",
    "../_base_/schedule.py",
    "../_base_/runtime.py",
]
work_dir = "work_dirs/utd_mhad/joint"
clips = dict(
    ann_file="data/utd_mhad/utd_mhad.pkl",
    skeleton="kinect20",
    num_classes=27,
    off_image="drop",
    binary_score=True,
)
model = dict(
    data_preprocessor=dict(skeleton="kinect20"),
    backbone=dict(in_channels=20),
    cls_head=dict(
        num_classes=27,
        label_vectors="data/utd_mhad/label_vectors.npz",
        rescale=True,
    ),
)
# Nothing is mirrored: `swipe left` and `swipe right`, and circles one way and the other, differ in the direction alone.
train_pipeline = [
    dict(type="SampleKeypointFrames", clip_len=16),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(-1, 27)),
    dict(type="RandomResizedCropKeypoints", area_range=(0.75, 1.0)),
    dict(type="ResizeKeypoints", scale=(24, 24), keep_ratio=False),
    dict(type="PackKeypoints"),
]
test_pipeline = [
    dict(type="SampleKeypointFrames", clip_len=16, num_clips=4, test_mode=True),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(24, 24), keep_ratio=False),
    dict(type="PackKeypoints"),
]
train_dataloader = dict(dataset=dict(split="xsub_train", pipeline=train_pipeline, **clips))
val_dataloader = dict(dataset=dict(split="xsub_test", **clips))
test_dataloader = dict(dataset=dict(split="xsub_test", pipeline=test_pipeline, **clips))
train_cfg = dict(max_epochs=60, val_interval=20)
optim_wrapper = dict(optimizer=dict(lr=0.15))
