"""Training, the same for every model: the loop, schedules, losses with named parts, checkpoints.

Training is a layer below the models. A model hands its network, a function that makes batches of
named tensors and a schedule to `genoglot.training.loop.train`; every model has one `fit`.
"""
