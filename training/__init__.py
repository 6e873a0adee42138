"""Train, judge and publish the models. Importing this package imports nothing; its modules import lazily."""
