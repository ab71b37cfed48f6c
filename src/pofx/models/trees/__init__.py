"""Parts of models on trees."""
