"""The ground floor: what every wing needs; it knows nothing of the rest of the house."""
