"""From releases and reports to the documents that the routes answer with; plain functions without a request."""
