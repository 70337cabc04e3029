"""From parallel text to batches: corpus, cleaning, tokenizer, dataset, batching."""
