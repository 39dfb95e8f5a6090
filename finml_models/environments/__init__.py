"""Decision problems that play many episodes at once: numpy alone, no learning library."""
