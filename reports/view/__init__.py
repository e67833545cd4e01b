"""The pages: live and replayed, of a folder of runs and of a gateway (docs/view.md)."""
