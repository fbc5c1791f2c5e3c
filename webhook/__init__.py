"""The webhook acts and never scores."""
