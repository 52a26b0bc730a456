# DG-STGCN, this package's. The graph is that of the layout; the classifier is the host's, without the semantic branch.
model = dict(
    type="GraphRecognizer",
    data_preprocessor=dict(type="GraphPreprocessor"),
    backbone=dict(type="DGSTGCN", graph_cfg=dict(mode="random", num_filter=8, init_off=0.04, init_std=0.02)),
    cls_head=dict(type="GCNHead", num_classes=None, in_channels=256, average_clips="prob"),
)
