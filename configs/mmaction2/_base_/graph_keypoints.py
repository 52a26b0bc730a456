# Clips for graph networks: 100 frames of x, y and score in units of the image; 10 views in testing. A config names the
# annotation file, the splits and the layout; `stream` is set in one place, see docs/graph_networks.md.
stream = "joint"
train_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=100),
    dict(type="FormatGraphInput"),
    dict(type="PackKeypoints"),
]
val_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=100, test_mode=True),
    dict(type="FormatGraphInput"),
    dict(type="PackKeypoints"),
]
test_pipeline = [
    dict(type="NormaliseKeypoints"),
    dict(type="KeypointStream"),
    dict(type="SampleKeypointFrames", clip_len=100, num_clips=10, test_mode=True),
    dict(type="FormatGraphInput"),
    dict(type="PackKeypoints"),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type="stack_keypoints"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="KeypointDataset", pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type="stack_keypoints"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type="KeypointDataset", pipeline=val_pipeline, test_mode=True),
)
test_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type="stack_keypoints"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type="KeypointDataset", pipeline=test_pipeline, test_mode=True),
)
val_evaluator = dict(type="ScoreMetric")
test_evaluator = dict(type="ScoreMetric")
