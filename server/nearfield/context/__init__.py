"""What a model is shown: slices of the document at hand."""
