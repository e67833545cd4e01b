"""What was stored, read back: columns, decimation, aggregates, statistics, latest values."""
