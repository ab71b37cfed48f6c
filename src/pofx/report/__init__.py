"""Reports about a fitted distribution: an HTML page, pictures and unexpected rows."""
