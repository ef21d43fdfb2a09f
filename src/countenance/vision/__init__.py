"""From the bytes of an admitted picture to faces, templates and crops. Pixels are decoded in worker processes only."""
