# PoseC3D for small data sets: SlowOnly-18 with one block a stage on 16x32x32 maps, a 128-d feature.
_base_ = "./posec3d.py"
model = dict(
    backbone=dict(
        depth=18,
        stage_blocks=(1, 1, 1),
        inflate_style="3x3x3",
        conv1_kernel=(1, 5, 5),
        conv1_stride=(1, 2),
        spatial_strides=(1, 2, 2),
        zero_init_residual=False,
    ),
    cls_head=dict(in_channels=128, dropout=0.3),
)
