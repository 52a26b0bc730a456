# SGD with a cosine to zero by iteration, over the number of epochs, which max_epochs alone says.
# The learning rate holds for 32 clips a step and follows the total batch size.
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=100, val_begin=1, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [dict(type="CosineAnnealingLR", eta_min=0, by_epoch=True, convert_to_iter_based=True)]
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.4 / 6, momentum=0.9, weight_decay=0.0003),
)
auto_scale_lr = dict(enable=True, base_batch_size=32)
