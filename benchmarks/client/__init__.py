"""Topic `client`: what the client costs the service that uses it, beside other people's clients."""
