"""What a model is worth on a trial list: error rates, their intervals, and the card that reports them."""
