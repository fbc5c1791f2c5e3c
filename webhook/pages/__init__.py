"""The pages that people look at: templates and styles, shipped in the wheel."""
