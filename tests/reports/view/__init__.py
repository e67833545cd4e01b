"""A package, so that its browser (a fixture of scope "package") is gone before other tests run."""
