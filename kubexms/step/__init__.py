"""Step kinds: the contract, the registry, and the built-in kinds."""
