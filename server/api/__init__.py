"""The frame of the HTTP API: declared endpoints, what they take and give, the document of it."""
