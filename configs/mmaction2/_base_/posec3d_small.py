# PoseC3D for two CPU cores and small data sets: SlowOnly-18 with one block a stage on 16x32x32 maps, a 128-d feature.
_base_ = "./posec3d.py"
model = dict(
    backbone=dict(
        depth=18,
        base_channels=32,
        stage_blocks=(1, 1, 1),
        conv1_kernel=(1, 5, 5),
        conv1_stride_s=2,
        spatial_strides=(1, 2, 2),
        zero_init_residual=False,
    ),
    cls_head=dict(in_channels=128, dropout_ratio=0.3),
)
