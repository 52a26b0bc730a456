# As keypoints_48x56.py, but frames are chosen by PySKL's own class, whose random numbers are the 2023 release's.
_base_ = "./keypoints_48x56.py"
train_pipeline = [
    dict(type="UniformSampleFrames", clip_len=48),
    dict(type="PoseDecode"),
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
    dict(type="UniformSampleFrames", clip_len=48),
    dict(type="PoseDecode"),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(64, 64), keep_ratio=False),
    dict(type="GeneratePoseHeatmap", sigma=0.6),
    dict(type="FormatShape", input_format="NCTHW_Heatmap"),
    dict(type="Collect", keys=["imgs", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["imgs"]),
]
test_pipeline = [
    dict(type="UniformSampleFrames", clip_len=48, num_clips=10),
    dict(type="PoseDecode"),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(64, 64), keep_ratio=False),
    dict(type="GeneratePoseHeatmap", sigma=0.6, double=True),
    dict(type="FormatShape", input_format="NCTHW_Heatmap"),
    dict(type="Collect", keys=["imgs", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["imgs"]),
]
data = dict(
    train=dict(pipeline=train_pipeline),
    val=dict(pipeline=val_pipeline),
    test=dict(pipeline=test_pipeline),
)
