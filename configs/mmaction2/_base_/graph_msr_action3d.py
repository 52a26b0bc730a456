# MSR-Action3D, cross-subject, 20 Kinect joints, for graph networks; small, for a CPU core.
_base_ = ["./graph_keypoints_32.py", "./graph_schedule.py", "./runtime.py"]
clips = dict(
    ann_file="data/msr_action3d/msr_action3d.pkl",
    skeleton="kinect20",
    num_classes=20,
    off_image="drop",
    binary_score=True,
)
train_dataloader = dict(dataset=dict(split="xsub_train", **clips))
val_dataloader = dict(dataset=dict(split="xsub_test", **clips))
test_dataloader = dict(dataset=dict(split="xsub_test", **clips))
