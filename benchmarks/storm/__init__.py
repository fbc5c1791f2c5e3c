"""What it costs to take alerts durably, and how soon one is acted upon."""
