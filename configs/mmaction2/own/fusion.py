# Own clips: joint and limb scores, with the weights that are best on the validation split. The paper's 2 : 3 loses
# where limb is the weaker model. For each of the two models, before:
#   semloss test CONFIG CHECKPOINT
#   semloss test CONFIG CHECKPOINT --cfg-options test_dataloader.dataset.split=val \
#       --out work_dirs/own/joint/val_scores.npz
# Then:
#   semloss fuse --config configs/mmaction2/own/fusion.py
parts = dict(
    joint=dict(scores="work_dirs/own/joint/test_scores.npz", search_on="work_dirs/own/joint/val_scores.npz"),
    limb=dict(scores="work_dirs/own/limb/test_scores.npz", search_on="work_dirs/own/limb/val_scores.npz"),
)
out = "work_dirs/own/fusion/test_scores.npz"
