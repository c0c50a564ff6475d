"""What a request may bring, and what it is answered with: views check by it, and /openapi.json shows it."""
