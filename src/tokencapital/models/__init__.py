"""What is rented or run: generalists behind `ModelClient`, embedders behind `Embedder`."""
