"""What the API takes and answers, as pydantic models that server and client share; imports no server."""
