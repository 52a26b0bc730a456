# MSR-Action3D, ST-GCN++ with random scale and rotation; other inputs by --cfg-options stream=bone.
#   semloss train configs/mmaction2/msr_action3d/stgcnpp_strongaug.py
_base_ = "./stgcnpp.py"
work_dir = "work_dirs/msr_action3d/stgcnpp_strongaug"
train_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="RandomScaleKeypoints", scale=0.1),
    dict(type="RandomRotateKeypoints", theta=0.3),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=32),
    dict(type="FormatGraphInput"),
    dict(type="PackKeypoints"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_epochs=120)
