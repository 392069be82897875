"""Whether the gateway is transparent: the suites of others, direct and through it, compared by the names of what fails."""
