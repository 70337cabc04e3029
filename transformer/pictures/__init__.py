"""Pictures of models and their training, still and on pages."""
