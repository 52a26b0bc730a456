# Own clips, joints: copy this folder and set what is below `work_dir`, and in limb.py the number of limbs;
# the documentation's page 'own_keypoints' has the whole way.
#   bash tools/dist_train.sh CONFIG 2 --validate        in PySKL's folder, CONFIG being the path of this file
#   bash tools/dist_test.sh CONFIG work_dirs/own/joint/latest.pth 1
# With a few hundred clips, take posec3d_small.py and keypoints_16x32.py in place of the first two.
_base_ = [
    "../_base_/posec3d.py",
    "../_base_/keypoints_48x56.py",
    "../_base_/runtime.py",
]
work_dir = "work_dirs/own/joint"
clips = dict(
    ann_file="data/own/annotations.pkl",  # of semloss prepare keypoints
    skeleton="openpose22",  # a layout's name, or the path of a YAML or JSON file that describes one
    modality="joint",
)
model = dict(
    backbone=dict(in_channels=22),  # the joints of the layout; PySKL itself cannot take them from it
    cls_head=dict(label_vectors="data/own/label_vectors.npz"),  # of build_label_vectors.py
)
data = dict(
    train=dict(split="train", **clips),
    val=dict(split="val", **clips),
    test=dict(split="test", **clips),
)
