# PoseC3D (SlowOnly over heat maps) with the semantic branch, as published: 512-d feature, dropout 0.5, alpha 20.
model = dict(
    type="PoseRecognizer3D",
    # True: bfloat16, and compiled on a GPU; gain and cost are in the documentation's page 'throughput'.
    fast=False,
    data_preprocessor=dict(type="PoseHeatmapPreprocessor", modality="joint", sigma=0.6),
    backbone=dict(
        type="ResNet3dSlowOnly",
        in_channels=None,  # as many as the layout has joints or limbs
        depth=50,
        pretrained=None,
        base_channels=32,
        num_stages=3,
        out_indices=(2,),
        stage_blocks=(4, 6, 3),
        conv1_stride_s=1,
        pool1_stride_s=1,
        inflate=(0, 1, 1),
        spatial_strides=(2, 2, 2),
        temporal_strides=(1, 1, 2),
        dilations=(1, 1, 1),
    ),
    cls_head=dict(
        type="SemanticEmbeddingHead",
        num_classes=None,  # as many as there are label vectors
        in_channels=512,
        dropout_ratio=0.5,
        alpha=20.0,
        average_clips="prob",
    ),
)
