"""Neural building blocks: there is no probability in them."""
