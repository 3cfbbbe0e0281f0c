"""`batchmill batches watch`: follows one batch to its end over the stream of its events."""
