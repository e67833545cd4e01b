"""A fleet of light vehicles at real gateways: its driver, a record of answers, and checks."""
