"""One modelled device alone, for any client anywhere: `telerig device`."""
