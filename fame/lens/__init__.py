"""One history under the lens: what every head says, how the gate mixes it, what changes if."""
