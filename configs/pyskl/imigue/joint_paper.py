# iMiGUE, joints, exactly as the winning release of 2023 trained them, its mistakes included; compare joint.py.
#   bash tools/dist_train.sh CONFIG 2 --validate        in PySKL's folder, CONFIG being the path of this file
# What differs from joint.py, on purpose:
#   mirror pairs   the release swaps 1-2, 3-4, ... 19-20, which are no left/right pairs of this layout
#   limbs          22 instead of 21, with one slip; 19 of them are no limbs any more after the release's swap
#   padding        every clip declares 90 frames, short ones are padded with blank frames that sampling draws
#   frames         chosen by PySKL's own class; joint.py takes the frames that the MMAction2 configs take
_base_ = [
    "../_base_/posec3d.py",
    "../_base_/release_48x56.py",
    "../_base_/runtime.py",
]
work_dir = "work_dirs/imigue/joint_paper"
clips = dict(
    ann_file="data/imigue/annotations_padded90.pkl",
    skeleton="release22_with_mistakes",
    modality="joint",
    num_classes=32,
)
model = dict(
    backbone=dict(in_channels=22),
    cls_head=dict(num_classes=32, label_vectors="data/imigue/label_vectors.npz"),
)
data = dict(
    train=dict(split="train", **clips),
    val=dict(split="val", **clips),
    test=dict(split="test", **clips),
)
