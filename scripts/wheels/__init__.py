"""`make wheels`: what people install."""
