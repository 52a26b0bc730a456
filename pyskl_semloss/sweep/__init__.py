"""Many runs of one config, over alpha, label vectors, seeds and modalities: plan, runs, table, plot."""
