# ST-GCN. The classifier is PySKL's, without the semantic branch. A config names the layout of the graph.
model = dict(
    type="RecognizerGCN",
    backbone=dict(type="STGCN", graph_cfg=dict(mode="stgcn_spatial")),
    cls_head=dict(type="GCNHead", num_classes=None, in_channels=256),
    test_cfg=dict(average_clips="prob"),
)
