"""What would have been seen: the same engine over a past span, its alarms, and how good they were."""
