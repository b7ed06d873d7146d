"""One `Batch` value per way of looking something up: batch function, cache policy and tags."""
