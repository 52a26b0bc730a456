# iMiGUE, limbs, exactly as the winning release of 2023 trained them; joint_paper.py says what differs from limb.py.
#   bash tools/dist_train.sh CONFIG 2 --validate        in PySKL's folder, CONFIG being the path of this file
_base_ = "./joint_paper.py"
work_dir = "work_dirs/imigue/limb_paper"
model = dict(backbone=dict(in_channels=22))
data = dict(train=dict(modality="limb"), val=dict(modality="limb"), test=dict(modality="limb"))
