"""Room: each site's console pages."""
