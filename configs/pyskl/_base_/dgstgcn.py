# DG-STGCN. The classifier is PySKL's, without the semantic branch. A config names the layout of the graph.
model = dict(
    type="RecognizerGCN",
    backbone=dict(
        type="DGSTGCN",
        gcn_ratio=0.125,
        gcn_ctr="T",
        gcn_ada="T",
        tcn_ms_cfg=[(3, 1), (3, 2), (3, 3), (3, 4), ("max", 3), "1x1"],
        graph_cfg=dict(mode="random", num_filter=8, init_off=0.04, init_std=0.02),
    ),
    cls_head=dict(type="GCNHead", num_classes=None, in_channels=256),
    test_cfg=dict(average_clips="prob"),
)
