# PoseC3D (SlowOnly over heat maps) with the semantic branch, as published: 512-d feature, dropout 0.5, alpha 20.
model = dict(
    type="Recognizer3D",
    backbone=dict(
        type="ResNet3dSlowOnly",
        depth=50,
        pretrained=None,
        base_channels=32,
        num_stages=3,
        out_indices=(2,),
        stage_blocks=(4, 6, 3),
        conv1_stride=(1, 1),
        pool1_stride=(1, 1),
        inflate=(0, 1, 1),
        spatial_strides=(2, 2, 2),
        temporal_strides=(1, 1, 2),
    ),
    # num_classes: as many as there are label vectors.
    cls_head=dict(type="SemanticEmbeddingHead", num_classes=None, in_channels=512, dropout=0.5, alpha=20.0),
    # On a small GPU max_testing_views=4 tests in less memory; PySKL then needs videos_per_gpu=1 in validation, too.
    test_cfg=dict(average_clips="prob"),
)
