"""From corpora to encoded pairs, in pieces that processes work on, whatever the size."""
