"""The shared words: values that every stage may speak, and nothing that acts."""
