# Own clips, joints: copy this folder and set the three lines below `work_dir`. The whole way is in the documentation's
# page 'own_keypoints'.
#   semloss train configs/mmaction2/own/joint.py
#   semloss test configs/mmaction2/own/joint.py work_dirs/own/joint/epoch_100.pth
# On a CPU, or with a few hundred clips, take posec3d_small.py and keypoints_16x32.py in place of the first two.
_base_ = [
    "../_base_/posec3d.py",
    "../_base_/keypoints_48x56.py",
    "../_base_/schedule.py",
    "../_base_/runtime.py",
]
work_dir = "work_dirs/own/joint"
ann_file = "data/own/annotations.pkl"  # of semloss prepare keypoints
label_vectors = "data/own/label_vectors.npz"  # of semloss label-vectors
skeleton = "openpose22"  # a layout's name, or a YAML or JSON file that describes one

clips = dict(ann_file=ann_file, skeleton=skeleton)
model = dict(
    data_preprocessor=dict(skeleton=skeleton),
    cls_head=dict(label_vectors=label_vectors),
)
train_dataloader = dict(dataset=dict(split="train", **clips))
val_dataloader = dict(dataset=dict(split="val", **clips))
test_dataloader = dict(dataset=dict(split="test", **clips))
