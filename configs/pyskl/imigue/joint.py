# iMiGUE, 32 classes, the anatomical 22-joint layout, joints.
#   bash tools/dist_train.sh CONFIG 2 --validate        in PySKL's folder, CONFIG being the path of this file
#   bash tools/dist_test.sh CONFIG work_dirs/imigue/joint/latest.pth 1
_base_ = [
    "../_base_/posec3d.py",
    "../_base_/keypoints_48x56.py",
    "../_base_/runtime.py",
]
work_dir = "work_dirs/imigue/joint"
clips = dict(ann_file="data/imigue/annotations.pkl", skeleton="openpose22", modality="joint", num_classes=32)
model = dict(
    backbone=dict(in_channels=22),
    cls_head=dict(num_classes=32, label_vectors="data/imigue/label_vectors.npz"),
)
data = dict(
    train=dict(split="train", **clips),
    val=dict(split="val", **clips),
    test=dict(split="test", **clips),
)
