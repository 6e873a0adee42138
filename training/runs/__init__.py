"""What every training run needs: options, logging, files, summary, errors. The manager imports this alone."""
