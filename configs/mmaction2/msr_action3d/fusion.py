# MSR-Action3D: joint and limb scores, 2 : 3.
#   semloss fuse --config configs/mmaction2/msr_action3d/fusion.py
parts = dict(
    joint=dict(scores="work_dirs/msr_action3d/joint/test_scores.npz", weight=2),
    limb=dict(scores="work_dirs/msr_action3d/limb/test_scores.npz", weight=3),
)
out = "work_dirs/msr_action3d/fusion/test_scores.npz"
