# SMG, 17 classes, 25 Kinect v2 joints in colour-image pixels, for graph networks.
_base_ = ["./graph_keypoints.py", "./graph_schedule.py", "./runtime.py"]
clips = dict(
    ann_file="data/smg/annotations.pkl",
    skeleton="kinect25",
    num_classes=17,
)
train_dataloader = dict(dataset=dict(split="train", **clips))
val_dataloader = dict(dataset=dict(split="test", **clips))
test_dataloader = dict(dataset=dict(split="test", **clips))
