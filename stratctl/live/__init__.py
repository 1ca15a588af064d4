"""What talks to the provider: reads that cannot write, and writes that are sent once."""
