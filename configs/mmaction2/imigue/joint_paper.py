# iMiGUE, joints, exactly as the winning release of 2023 trained them, its mistakes included; compare joint.py.
#   semloss train configs/mmaction2/imigue/joint_paper.py      (the release: on two GPUs)
# What differs from joint.py, on purpose:
#   mirror pairs   the release swaps 1-2, 3-4, ... 19-20, which are no left/right pairs of this layout
#   limbs          22 instead of 21, with one slip; 19 of them are no limbs any more after the release's swap
#   padding        every clip declares 90 frames, short ones are padded with blank frames that sampling draws
#   scores         a point below 1e-3 draws nothing (PySKL); MMAction2's limit is 1e-4
_base_ = "./joint.py"
work_dir = "work_dirs/imigue/joint_paper"
clips = dict(
    ann_file="data/imigue/annotations_padded90.pkl",
    skeleton="release22_with_mistakes",
    num_classes=32,
)
model = dict(data_preprocessor=dict(skeleton="release22_with_mistakes", score_threshold=0.001))
train_dataloader = dict(dataset=dict(split="train", **clips))
val_dataloader = dict(dataset=dict(split="val", **clips))
test_dataloader = dict(dataset=dict(split="test", **clips))
