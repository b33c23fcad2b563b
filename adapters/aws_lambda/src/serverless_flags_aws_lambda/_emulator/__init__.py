"""AWS Lambda on your machine, for development; not for production."""
