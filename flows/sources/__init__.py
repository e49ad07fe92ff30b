"""Where events come from: files, synthetic worlds."""
