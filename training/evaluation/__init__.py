"""What encoders are worth, measured the way the paper does (sections 5.2 and 5.4)."""
