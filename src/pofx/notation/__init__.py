"""The notation of queries: its grammar, the tree that a query is read into, and its errors."""
