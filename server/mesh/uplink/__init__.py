"""The link `mesh_uplink`: what a vehicle sends by radio."""
