# iMiGUE, 32 classes, the anatomical 22-joint layout, for graph networks.
_base_ = ["./graph_keypoints.py", "./graph_schedule.py", "./runtime.py"]
clips = dict(
    ann_file="data/imigue/annotations.pkl",
    skeleton="openpose22",
    num_classes=32,
)
train_dataloader = dict(dataset=dict(split="train", **clips))
val_dataloader = dict(dataset=dict(split="val", **clips))
test_dataloader = dict(dataset=dict(split="test", **clips))
