# Clips of 32 frames for small graph networks, 4 views in testing.
_base_ = "./graph_keypoints.py"
train_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=32),
    dict(type="FormatGraphInput"),
    dict(type="Collect", keys=["keypoint", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["keypoint", "label"]),
]
val_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=32, test_mode=True),
    dict(type="FormatGraphInput"),
    dict(type="Collect", keys=["keypoint", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["keypoint"]),
]
test_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=32, num_clips=4, test_mode=True),
    dict(type="FormatGraphInput"),
    dict(type="Collect", keys=["keypoint", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["keypoint"]),
]
data = dict(
    train=dict(pipeline=train_pipeline),
    val=dict(pipeline=val_pipeline),
    test=dict(pipeline=test_pipeline),
)
