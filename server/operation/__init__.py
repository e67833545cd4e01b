"""How the gateway is run: metrics, signs of life, TLS, reload, older variables, doctor, tests."""
