# PySKL's recipe for graph networks: SGD with a cosine to zero by iteration; 80 epochs are its 16 of five passes each.
# The learning rate holds for 128 clips a step, 16 on each of 8 GPUs, and follows the total batch size.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=80, val_begin=1, val_interval=5)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [dict(type="CosineAnnealingLR", eta_min=0, by_epoch=True, convert_to_iter_based=True)]
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=0.0005, nesterov=True),
)
auto_scale_lr = dict(enable=True, base_batch_size=128)
