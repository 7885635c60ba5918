"""What is made of results: one HTML page, charts, pictures."""
