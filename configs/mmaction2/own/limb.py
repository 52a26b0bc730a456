# Own clips, limbs: what joint.py sets, drawn as limbs.
#   semloss train configs/mmaction2/own/limb.py
#   semloss test configs/mmaction2/own/limb.py work_dirs/own/limb/epoch_100.pth
_base_ = "./joint.py"
work_dir = "work_dirs/own/limb"
model = dict(data_preprocessor=dict(modality="limb"))
