"""Pictures of what a model does with its modalities; one kind of picture per file."""
