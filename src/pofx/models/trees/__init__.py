"""Trees of categories: their structure, message passing, and the models that share them."""
