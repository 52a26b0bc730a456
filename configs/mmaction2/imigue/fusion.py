# iMiGUE: joint and limb scores, 2 : 3, and the challenge submission.
#   semloss fuse --config configs/mmaction2/imigue/fusion.py
parts = dict(
    joint=dict(scores="work_dirs/imigue/joint/test_scores.npz", weight=2),
    limb=dict(scores="work_dirs/imigue/limb/test_scores.npz", weight=3),
)
out = "work_dirs/imigue/fusion/test_scores.npz"
submission = "work_dirs/imigue/fusion/Submission.zip"
