"""One training run's life: options, logging, files, summary and errors; all that the manager may see of training."""
