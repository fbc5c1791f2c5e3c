"""How well the recommender chooses, on a simulated fleet whose truth is known."""
