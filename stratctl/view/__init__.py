"""Values as text, for terminals, pull requests and machines. Nothing here prints."""
