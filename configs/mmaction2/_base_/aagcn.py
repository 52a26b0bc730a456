# AAGCN. The graph is that of the layout; the classifier is the host's, without the semantic branch.
model = dict(
    type="GraphRecognizer",
    data_preprocessor=dict(type="GraphPreprocessor"),
    backbone=dict(type="AAGCN", graph_cfg=dict(mode="spatial")),
    cls_head=dict(type="GCNHead", num_classes=None, in_channels=256, average_clips="prob"),
)
