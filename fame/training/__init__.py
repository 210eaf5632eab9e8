"""Training: the loop (:mod:`fame.training.loop`), a run around it (:mod:`fame.training.train`)."""
