"""Training: the loop (:mod:`fame.training.loop`) and a run's folder (:mod:`fame.training.runs`)."""
