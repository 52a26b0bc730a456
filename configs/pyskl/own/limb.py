# Own clips, limbs: what joint.py sets, drawn as limbs.
#   bash tools/dist_train.sh CONFIG 2 --validate        in PySKL's folder, CONFIG being the path of this file
#   bash tools/dist_test.sh CONFIG work_dirs/own/limb/latest.pth 1
_base_ = "./joint.py"
work_dir = "work_dirs/own/limb"
model = dict(backbone=dict(in_channels=21))  # the limbs of the layout
data = dict(train=dict(modality="limb"), val=dict(modality="limb"), test=dict(modality="limb"))
