# iMiGUE: joint and limb results of PySKL's test tool, 2 : 3, and the challenge submission.
#   semloss fuse --config configs/pyskl/imigue/fusion.py
# Run it where work_dirs/ and data/ are.
parts = dict(
    joint=dict(scores="work_dirs/imigue/joint/result.pkl", weight=2),
    limb=dict(scores="work_dirs/imigue/limb/result.pkl", weight=3),
)
ann_file = "data/imigue/annotations.pkl"
split = "test"
out = "work_dirs/imigue/fusion/test_scores.npz"
submission = "work_dirs/imigue/fusion/Submission.zip"
