# Own clips: joint and limb scores, 2 : 3.
#   semloss fuse --config configs/mmaction2/own/fusion.py
parts = dict(
    joint=dict(scores="work_dirs/own/joint/test_scores.npz", weight=2),
    limb=dict(scores="work_dirs/own/limb/test_scores.npz", weight=3),
)
out = "work_dirs/own/fusion/test_scores.npz"
