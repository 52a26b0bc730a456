# Own clips: joint and limb results of PySKL's test tool, with the weights that are best on the validation split. The
# paper's 2 : 3 loses where limb is the weaker model. For the validation results test a copy of joint.py, and one of
# limb.py, in which `data.test` has split="val":
#   bash tools/dist_test.sh CONFIG work_dirs/own/joint/latest.pth 1 --out work_dirs/own/joint/val_result.pkl
# Then, where work_dirs/ and data/ are:
#   semloss fuse --config configs/pyskl/own/fusion.py
parts = dict(
    joint=dict(scores="work_dirs/own/joint/result.pkl", search_on="work_dirs/own/joint/val_result.pkl"),
    limb=dict(scores="work_dirs/own/limb/result.pkl", search_on="work_dirs/own/limb/val_result.pkl"),
)
ann_file = "data/own/annotations.pkl"
split = "test"
search_split = "val"
out = "work_dirs/own/fusion/test_scores.npz"
