# MSR-Action3D, cross-subject, 20 Kinect joints, a small PoseC3D on 16 frames of 32x32, joints.
#   bash tools/dist_train.sh CONFIG 1 --validate        in PySKL's folder, CONFIG being the path of this file
#   bash tools/dist_test.sh CONFIG work_dirs/msr_action3d/joint/latest.pth 1
# Kinect's confidences are 0 on most head-side joints, so a point counts as known when it lies in the image.
_base_ = [
    "../_base_/posec3d_small.py",
    "../_base_/keypoints_16x32.py",
    "../_base_/runtime.py",
]
work_dir = "work_dirs/msr_action3d/joint"
clips = dict(
    ann_file="data/msr_action3d/msr_action3d.pkl",
    skeleton="kinect20",
    modality="joint",
    num_classes=20,
    off_image="drop",
    binary_score=True,
)
model = dict(
    backbone=dict(in_channels=20),
    cls_head=dict(num_classes=20, label_vectors="data/msr_action3d/label_vectors.npz", alpha=2.0),
)
data = dict(
    train=dict(split="xsub_train", **clips),
    val=dict(split="xsub_test", **clips),
    test=dict(split="xsub_test", **clips),
)
# For 16 clips a step, on one GPU.
optimizer = dict(lr=0.075)
evaluation = dict(interval=10)
