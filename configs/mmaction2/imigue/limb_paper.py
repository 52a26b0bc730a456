# iMiGUE, limbs, exactly as the winning release of 2023 trained them; joint_paper.py says what differs from limb.py.
#   semloss train configs/mmaction2/imigue/limb_paper.py
_base_ = "./joint_paper.py"
work_dir = "work_dirs/imigue/limb_paper"
model = dict(data_preprocessor=dict(modality="limb"), backbone=dict(in_channels=22))
