# 48 frames; maps 56x56 in training, 64x64 in validation and testing. A config names the annotation file, the splits,
# the layout and the modality; FlipKeypoints and GeneratePoseHeatmap go by them.
train_pipeline = [
    dict(type="SampleKeypointFrames", clip_len=48),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(-1, 64)),
    dict(type="RandomResizedCropKeypoints", area_range=(0.56, 1.0)),
    dict(type="ResizeKeypoints", scale=(56, 56), keep_ratio=False),
    dict(type="FlipKeypoints", flip_ratio=0.5),
    dict(type="GeneratePoseHeatmap", sigma=0.6),
    dict(type="FormatShape", input_format="NCTHW_Heatmap"),
    dict(type="Collect", keys=["imgs", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["imgs", "label"]),
]
val_pipeline = [
    dict(type="SampleKeypointFrames", clip_len=48, test_mode=True),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(64, 64), keep_ratio=False),
    dict(type="GeneratePoseHeatmap", sigma=0.6),
    dict(type="FormatShape", input_format="NCTHW_Heatmap"),
    dict(type="Collect", keys=["imgs", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["imgs"]),
]
test_pipeline = [
    dict(type="SampleKeypointFrames", clip_len=48, num_clips=10, test_mode=True),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(64, 64), keep_ratio=False),
    dict(type="GeneratePoseHeatmap", sigma=0.6, double=True),
    dict(type="FormatShape", input_format="NCTHW_Heatmap"),
    dict(type="Collect", keys=["imgs", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["imgs"]),
]
data = dict(
    videos_per_gpu=16,
    workers_per_gpu=4,
    persistent_workers=True,
    test_dataloader=dict(videos_per_gpu=1),
    train=dict(type="KeypointDataset", pipeline=train_pipeline),
    val=dict(type="KeypointDataset", pipeline=val_pipeline),
    test=dict(type="KeypointDataset", pipeline=test_pipeline),
)
