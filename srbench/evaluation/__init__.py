"""One pass over the test images that feeds every metric; one module per metric."""
