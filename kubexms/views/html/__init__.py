"""Plans and drift as one HTML file each: nothing is fetched, and everything reads without scripts."""
