"""The web console: pages over the services that the REST API answers from.

Every module without an underscore has a `router`, and is found by scanning. A page reads through services and views; what it changes goes to the
REST API, from the browser.
"""
