# PySKL's recipe for graph networks, with its 16 epochs of five passes each as 80 epochs.
_base_ = "./runtime.py"
# For 16 clips a step, on one GPU: 0.1 for 128. PySKL does not scale it: with twice as many clips, double it.
optimizer = dict(lr=0.0125, weight_decay=0.0005, nesterov=True)
total_epochs = 80
evaluation = dict(interval=5)
