"""Neural networks used by the models: layers without any probability in them."""
