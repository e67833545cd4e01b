"""The link `mesh`: a base station that hears vehicles and other nodes, stores, acknowledges."""
