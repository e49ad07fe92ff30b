"""The desk 值班台: findings in, incident changes out. Pure: no engine, no I/O, the clock passed in."""
