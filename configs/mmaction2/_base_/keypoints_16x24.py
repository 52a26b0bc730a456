# 16 frames; maps 24x24. A config names the annotation file, the splits and the layout; the workers pass keypoints, and
# the model's preprocessor makes the maps.
_base_ = "./keypoints_16x32.py"
train_pipeline = [
    dict(type="SampleKeypointFrames", clip_len=16),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(-1, 27)),
    dict(type="RandomResizedCropKeypoints", area_range=(0.75, 1.0)),
    dict(type="ResizeKeypoints", scale=(24, 24), keep_ratio=False),
    dict(type="FlipKeypoints", flip_ratio=0.5),
    dict(type="PackKeypoints"),
]
val_pipeline = [
    dict(type="SampleKeypointFrames", clip_len=16, test_mode=True),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(24, 24), keep_ratio=False),
    dict(type="PackKeypoints"),
]
test_pipeline = [
    dict(type="SampleKeypointFrames", clip_len=16, num_clips=4, test_mode=True),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(24, 24), keep_ratio=False),
    dict(type="PackKeypoints", mirrored_views=True),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
