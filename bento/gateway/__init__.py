"""All deployed versions behind one port: which one answers is read from the ledger, and changes without dropping a request."""
