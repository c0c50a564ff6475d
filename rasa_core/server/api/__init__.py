"""The parameters, bodies and answers of the HTTP API: views check requests by them, and /openapi.json lists them."""
