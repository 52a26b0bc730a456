# The synthetic set: joint and limb scores, 2 : 3.
#   semloss fuse --config configs/mmaction2/synthetic/fusion.py
parts = dict(
    joint=dict(scores="work_dirs/synthetic/joint/test_scores.npz", weight=2),
    limb=dict(scores="work_dirs/synthetic/limb/test_scores.npz", weight=3),
)
out = "work_dirs/synthetic/fusion/test_scores.npz"
