# Own clips: joint and limb results of PySKL's test tool, 2 : 3.
#   semloss fuse --config configs/pyskl/own/fusion.py
# Run it where work_dirs/ and data/ are.
parts = dict(
    joint=dict(scores="work_dirs/own/joint/result.pkl", weight=2),
    limb=dict(scores="work_dirs/own/limb/result.pkl", weight=3),
)
ann_file = "data/own/annotations.pkl"
split = "test"
out = "work_dirs/own/fusion/test_scores.npz"
