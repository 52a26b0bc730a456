# Own clips, limbs: what joint.py sets, drawn as limbs.
#   python tools/train.py configs/mmaction2/own/limb.py
#   python tools/test.py configs/mmaction2/own/limb.py work_dirs/own/limb/epoch_100.pth
_base_ = "./joint.py"
work_dir = "work_dirs/own/limb"
model = dict(data_preprocessor=dict(modality="limb"))
