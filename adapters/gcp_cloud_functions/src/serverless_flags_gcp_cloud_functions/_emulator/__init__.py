"""Google Cloud Functions on your machine, for development; not for production."""
