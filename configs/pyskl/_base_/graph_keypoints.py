# Clips for graph networks: 100 frames of x, y and score in units of the image; 10 views in testing. A config names the
# annotation file, the splits, the layout and the stream; KeypointStream goes by it.
train_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=100),
    dict(type="FormatGraphInput"),
    dict(type="Collect", keys=["keypoint", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["keypoint", "label"]),
]
val_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=100, test_mode=True),
    dict(type="FormatGraphInput"),
    dict(type="Collect", keys=["keypoint", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["keypoint"]),
]
test_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=100, num_clips=10, test_mode=True),
    dict(type="FormatGraphInput"),
    dict(type="Collect", keys=["keypoint", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["keypoint"]),
]
data = dict(
    videos_per_gpu=16,
    workers_per_gpu=2,
    persistent_workers=True,
    test_dataloader=dict(videos_per_gpu=16),
    train=dict(type="KeypointDataset", pipeline=train_pipeline),
    val=dict(type="KeypointDataset", pipeline=val_pipeline),
    test=dict(type="KeypointDataset", pipeline=test_pipeline),
)
