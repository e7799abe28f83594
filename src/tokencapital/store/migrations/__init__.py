"""How a store's schema came to be, step by step; run by `Store.open`."""
