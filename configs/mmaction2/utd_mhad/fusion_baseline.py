# UTD-MHAD without the semantic branch: joint and limb scores, 2 : 3.
#   semloss fuse --config configs/mmaction2/utd_mhad/fusion_baseline.py
parts = dict(
    joint=dict(scores="work_dirs/utd_mhad/joint_baseline/test_scores.npz", weight=2),
    limb=dict(scores="work_dirs/utd_mhad/limb_baseline/test_scores.npz", weight=3),
)
out = "work_dirs/utd_mhad/fusion_baseline/test_scores.npz"
