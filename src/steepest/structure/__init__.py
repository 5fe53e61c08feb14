"""Structure: facts read off a jaxpr, never guessed, each with its reason."""
