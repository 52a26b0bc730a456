# SMG, 17 classes, 25 Kinect v2 joints in colour-image pixels, joints.
#   bash tools/dist_train.sh CONFIG 2 --validate        in PySKL's folder, CONFIG being the path of this file
#   bash tools/dist_test.sh CONFIG work_dirs/smg/joint/latest.pth 1
_base_ = [
    "../_base_/posec3d.py",
    "../_base_/keypoints_48x56.py",
    "../_base_/runtime.py",
]
work_dir = "work_dirs/smg/joint"
clips = dict(ann_file="data/smg/annotations.pkl", skeleton="kinect25", modality="joint", num_classes=17)
model = dict(
    backbone=dict(in_channels=25),
    cls_head=dict(num_classes=17, label_vectors="data/smg/label_vectors.npz"),
)
data = dict(
    train=dict(split="train", **clips),
    val=dict(split="test", **clips),
    test=dict(split="test", **clips),
)
