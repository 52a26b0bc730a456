# Clips of 32 frames for small graph networks, 4 views in testing.
_base_ = "./graph_keypoints.py"
train_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=32),
    dict(type="FormatGraphInput"),
    dict(type="PackKeypoints"),
]
val_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=32, test_mode=True),
    dict(type="FormatGraphInput"),
    dict(type="PackKeypoints"),
]
test_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=32, num_clips=4, test_mode=True),
    dict(type="FormatGraphInput"),
    dict(type="PackKeypoints"),
]
train_dataloader = dict(num_workers=1, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(num_workers=1, dataset=dict(pipeline=test_pipeline))
