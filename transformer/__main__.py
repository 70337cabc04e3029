"""`python -m transformer` is the command `transformer`."""

from transformer.cli.main import entry_point

entry_point()
