# Own clips, DG-STGCN; data and layout are those of stgcnpp.py.
_base_ = "./stgcnpp.py"
work_dir = "work_dirs/own/dgstgcn"
model = dict(
    backbone=dict(
        _delete_=True,
        type="DGSTGCN",
        graph_cfg=dict(mode="random", num_filter=8, init_off=0.04, init_std=0.02),
    )
)
train_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="RandomRotateKeypoints", theta=0.2),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=100),
    dict(type="FormatGraphInput"),
    dict(type="PackKeypoints"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_epochs=150)
