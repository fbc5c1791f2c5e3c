"""The actions on Kubernetes; cluster.py is the only code that speaks to it."""
