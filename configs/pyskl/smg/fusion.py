# SMG: joint and limb results of PySKL's test tool, 2 : 3.
#   semloss fuse --config configs/pyskl/smg/fusion.py
# Run it where work_dirs/ and data/ are.
parts = dict(
    joint=dict(scores="work_dirs/smg/joint/result.pkl", weight=2),
    limb=dict(scores="work_dirs/smg/limb/result.pkl", weight=3),
)
ann_file = "data/smg/annotations.pkl"
split = "test"
out = "work_dirs/smg/fusion/test_scores.npz"
