# MSR-Action3D without the semantic branch: joint and limb scores, 2 : 3.
#   semloss fuse --config configs/mmaction2/msr_action3d/fusion_baseline.py
parts = dict(
    joint=dict(scores="work_dirs/msr_action3d/joint_baseline/test_scores.npz", weight=2),
    limb=dict(scores="work_dirs/msr_action3d/limb_baseline/test_scores.npz", weight=3),
)
out = "work_dirs/msr_action3d/fusion_baseline/test_scores.npz"
