"""The rig's subcommands; each module holds one `COMMAND` and imports what is heavy when it runs."""
