# SMG: joint and limb scores, 2 : 3, and the challenge submission.
#   semloss fuse --config configs/mmaction2/smg/fusion.py
parts = dict(
    joint=dict(scores="work_dirs/smg/joint/test_scores.npz", weight=2),
    limb=dict(scores="work_dirs/smg/limb/test_scores.npz", weight=3),
)
out = "work_dirs/smg/fusion/test_scores.npz"
submission = "work_dirs/smg/fusion/Submission.zip"
