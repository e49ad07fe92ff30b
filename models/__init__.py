"""Models interpret ONE event: normalise, mask, pseudonymise, tokenise, label."""
