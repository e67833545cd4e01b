"""What `telerig doctor` looks at, by where it stands: each gives findings and changes nothing."""
