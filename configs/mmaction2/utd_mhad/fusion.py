# UTD-MHAD: joint and limb scores, 2 : 3.
#   semloss fuse --config configs/mmaction2/utd_mhad/fusion.py
parts = dict(
    joint=dict(scores="work_dirs/utd_mhad/joint/test_scores.npz", weight=2),
    limb=dict(scores="work_dirs/utd_mhad/limb/test_scores.npz", weight=3),
)
out = "work_dirs/utd_mhad/fusion/test_scores.npz"
