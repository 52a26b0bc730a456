# Registration, schedule, checkpoints, logging: what every config shares and none changes.
custom_imports = dict(imports=["pyskl_semloss.hosts.pyskl"], allow_failed_imports=False)

# For 32 clips a step, 16 on each of two GPUs. PySKL does not scale it: with half as many clips, halve it.
optimizer = dict(type="SGD", lr=0.4 / 6, momentum=0.9, weight_decay=0.0003)
optimizer_config = dict(grad_clip=None)
lr_config = dict(policy="CosineAnnealing", by_epoch=False, min_lr=0)
total_epochs = 100

checkpoint_config = dict(interval=1, max_keep_ckpts=2)
evaluation = dict(interval=1, metrics=["top_k_accuracy", "mean_class_accuracy"], topk=(1, 5))
log_config = dict(interval=20, hooks=[dict(type="TextLoggerHook")])
log_level = "INFO"
dist_params = dict(backend="nccl")
find_unused_parameters = False
