"""Readers of parallel text, one for each format; `text.corpus` chooses among them."""
