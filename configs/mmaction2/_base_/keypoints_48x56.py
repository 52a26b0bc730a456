# 48 frames; maps 56x56 in training, 64x64 in validation and testing. A config names the annotation file, the splits and
# the layout; the workers pass keypoints, and the model's preprocessor makes the maps.
train_pipeline = [
    dict(type="SampleKeypointFrames", clip_len=48),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(-1, 64)),
    dict(type="RandomResizedCropKeypoints", area_range=(0.56, 1.0)),
    dict(type="ResizeKeypoints", scale=(56, 56), keep_ratio=False),
    dict(type="FlipKeypoints", flip_ratio=0.5),
    dict(type="PackKeypoints"),
]
val_pipeline = [
    dict(type="SampleKeypointFrames", clip_len=48, test_mode=True),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(64, 64), keep_ratio=False),
    dict(type="PackKeypoints"),
]
test_pipeline = [
    dict(type="SampleKeypointFrames", clip_len=48, num_clips=10, test_mode=True),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(64, 64), keep_ratio=False),
    dict(type="PackKeypoints", mirrored_views=True),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type="stack_keypoints"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="KeypointDataset", pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type="stack_keypoints"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type="KeypointDataset", pipeline=val_pipeline, test_mode=True),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type="stack_keypoints"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type="KeypointDataset", pipeline=test_pipeline, test_mode=True),
)
val_evaluator = dict(type="ScoreMetric")
test_evaluator = dict(type="ScoreMetric")
