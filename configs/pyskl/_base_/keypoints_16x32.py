# 16 frames; maps 32x32 in training, in validation and in testing, for small models.
_base_ = "./keypoints_48x56.py"
train_pipeline = [
    dict(type="SampleKeypointFrames", clip_len=16),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(-1, 36)),
    dict(type="RandomResizedCropKeypoints", area_range=(0.75, 1.0)),
    dict(type="ResizeKeypoints", scale=(32, 32), keep_ratio=False),
    dict(type="FlipKeypoints", flip_ratio=0.5),
    dict(type="GeneratePoseHeatmap", sigma=0.6),
    dict(type="FormatShape", input_format="NCTHW_Heatmap"),
    dict(type="Collect", keys=["imgs", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["imgs", "label"]),
]
val_pipeline = [
    dict(type="SampleKeypointFrames", clip_len=16, test_mode=True),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(32, 32), keep_ratio=False),
    dict(type="GeneratePoseHeatmap", sigma=0.6),
    dict(type="FormatShape", input_format="NCTHW_Heatmap"),
    dict(type="Collect", keys=["imgs", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["imgs"]),
]
test_pipeline = [
    dict(type="SampleKeypointFrames", clip_len=16, num_clips=4, test_mode=True),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(32, 32), keep_ratio=False),
    dict(type="GeneratePoseHeatmap", sigma=0.6, double=True),
    dict(type="FormatShape", input_format="NCTHW_Heatmap"),
    dict(type="Collect", keys=["imgs", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["imgs"]),
]
data = dict(
    test_dataloader=dict(videos_per_gpu=16),
    train=dict(pipeline=train_pipeline),
    val=dict(pipeline=val_pipeline),
    test=dict(pipeline=test_pipeline),
)
